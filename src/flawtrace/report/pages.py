"""The templates of pages: those of the report, and how any page is filled in."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def template(name: str) -> Template:
    """One of the report's."""
    return environment("flawtrace.report").get_template(name)


@cache
def environment(package: str) -> Environment:
    """Of the templates in a package's folder `templates`; a name that is not filled in is an error.

    One for each package, which compiles a template once.
    """
    made = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = lambda value: "–" if value is None else f"{value:.3f}"
    return made

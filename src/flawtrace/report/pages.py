"""The templates of pages that are one file each."""

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def template(name: str) -> Template:
    """Of the package's folder `templates`; a name that is not filled in is an error."""
    environment = Environment(
        loader=PackageLoader("flawtrace.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value: "–" if value is None else f"{value:.3f}"
    return environment.get_template(name)

"""A contact sheet: pictures of a few images, with a line about each."""

from collections.abc import Sequence
from pathlib import Path

from flawtrace.pictures.images import read_image
from flawtrace.report import style
from flawtrace.report.pages import template
from flawtrace.report.pictures import picture


def contact_sheet(rows: Sequence[tuple[Path, str, str]]) -> str:
    """One self-contained page of images with their verdicts and reasons, in this order."""
    page = template("sheet.html.jinja").render(
        rows=[(str(file), verdict, reason, picture(read_image(file))) for file, verdict, reason in rows],
        colours={name: getattr(style, name) for name in ("NORMAL", "DEFECTIVE", "PREDICTED", "INK")},
    )
    return page.encode("utf-8", "replace").decode()

"""A page of all overlays in a folder of predictions, those that ask for a look first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from flawtrace.report import style
from flawtrace.report.pages import template

ORDER = ("DEFECT", "UNSURE", "ERROR", "OK")


@dataclass(frozen=True)
class Shown:
    """One image in the gallery."""

    image: str
    verdict: str
    score: float | None
    note: str
    picture: str | None
    """Its overlay, relative to the page; None where there is none."""
    regions: int = 0
    """How many are outlined."""

    @property
    def address(self) -> str:
        """For a link; whatever the name holds."""
        return quote((self.picture or "").encode("utf-8", "surrogateescape"))


def gallery(title: str, shown: Sequence[Shown], thresholds: Mapping[str, float]) -> str:
    """The page, as HTML that links to the pictures beside it; `thresholds` are those of the detector."""
    by_score = sorted(shown, key=lambda one: -(one.score or 0))
    groups = {verdict: [one for one in by_score if one.verdict == verdict] for verdict in ORDER}
    page = template("gallery.html.jinja").render(
        title=title,
        groups={verdict: some for verdict, some in groups.items() if some},
        count=len(shown),
        thresholds=thresholds,
        colours={name: getattr(style, name) for name in ("NORMAL", "DEFECTIVE", "PREDICTED", "INK")},
    )
    return page.encode("utf-8", "replace").decode()

"""The page that compares two detectors: what changed, and every image whose verdict did."""

from pathlib import Path
from typing import Any

from flawtrace.ground.files import write_text
from flawtrace.measures import Change, Comparison, Evaluation, Pair
from flawtrace.pictures.images import fit, read_image
from flawtrace.report import style
from flawtrace.report.pages import template
from flawtrace.report.pictures import outlined, picture
from flawtrace.report.standing import verdicts
from flawtrace.report.style import DEFECTIVE, PREDICTED

COMPARISON_NAME = "comparison.html"
MEANINGS = {
    "pixel_f1": "F1 of the outlines",
    "pixel_f1_max": "F1 at the best threshold",
    "pixel_auroc": "Pixel AUROC",
    "pixel_aupro": "AUPRO",
    "image_auroc": "Image AUROC",
    "false_alarm_rate": "Good parts called DEFECT",
    "miss_rate": "Defects called OK",
    "unsure_rate": "UNSURE",
}


def write_comparison(comparison: Comparison, names: tuple[str, str], path: Path) -> None:
    """One self-contained HTML file; `names` are those of the detectors, the old one first.

    Raises:
        OutputError: the file cannot be written.
    """
    page = template("comparison.html.jinja").render(
        names=names,
        comparison=comparison,
        better=comparison.better,
        found=[_found(side) for side in (comparison.before, comparison.after)],
        meanings=MEANINGS,
        rows=[(MEANINGS[change.name], change, word_for(change)) for change in comparison.changes],
        changed=[_shown(pair) for pair in comparison.changed],
        colours={name: getattr(style, name) for name in ("NORMAL", "DEFECTIVE", "PREDICTED", "INK")},
    )
    write_text(path, page.encode("utf-8", "replace").decode())


def word_for(change: Change) -> str:
    """What the interval allows to say: "better", "worse", or "no clear difference".

    >>> word_for(Change("miss_rate", before=0.1, after=0.3, low=0.1, high=0.3))
    'worse'
    """
    return "better" if change.better else "worse" if change.worse else "no clear difference"


def _found(evaluation: Evaluation) -> int:
    """Defects that were called DEFECT."""
    return verdicts([case for case in evaluation.cases if case.sample.anomalous])["DEFECT"]


def _shown(pair: Pair) -> dict[str, Any]:
    sample, mask = pair.after.sample, pair.after.mask
    whole = read_image(sample.image)
    image = fit(whole, *mask.shape)
    cases = pair.before, pair.after
    return {
        "name": sample.image.name,
        "type": sample.defect_type,
        "harm": pair.harm,
        "aspect": round(whole.shape[2] / whole.shape[1], 4),
        "verdicts": [(case.prediction.verdict, case.score) for case in cases],
        "truth": picture(outlined(image, mask, DEFECTIVE)),
        "found": [picture(outlined(image, case.prediction.mask, PREDICTED)) for case in cases],
    }

"""One file to show: what was trained, how well it does, where it fails, and how it learnt.

The page holds its pictures and needs no network; those in full size lie in a folder beside it, which it can
do without. Its text lives in `templates/report.html.jinja`.
"""

from pathlib import Path

from flawtrace.ground.files import write_text
from flawtrace.ground.run_files import SETTINGS_NAME, SUMMARY_NAME
from flawtrace.measures import Evaluation
from flawtrace.report import style
from flawtrace.report.album import ALBUM_NAME, Album
from flawtrace.report.pages import template
from flawtrace.report.tested import tested_part
from flawtrace.report.trained import trained_part

REPORT_NAME = "report.html"


def can_report(run: Path) -> bool:
    """Whether `run` holds what every report needs: a detector alone does not."""
    return all((run / name).is_file() for name in (SETTINGS_NAME, SUMMARY_NAME))


def write_report(run: Path, evaluation: Evaluation | None = None) -> Path:
    """Write `report.html` in the folder `run`, with pictures in full size beside it, and return its path.

    Without `evaluation` it is about training alone. What an older training did not store is left out.

    Raises:
        DamagedFileError: the settings or the summary of the training are missing, or a file cannot be read.
        OutputError: the folder cannot be written.
    """
    trained, name, album = trained_part(run), run.resolve().name, Album(run)
    tested = (
        tested_part(evaluation, trained["labels"], trained["decidable"], name, album) if evaluation else None
    )
    page = template("report.html.jinja").render(
        title=trained["product"] or name,
        run=name,
        tested=tested,
        album=ALBUM_NAME,
        colours={name: getattr(style, name) for name in ("NORMAL", "DEFECTIVE", "PREDICTED", "INK")},
        **trained,
    )
    path = run / REPORT_NAME
    write_text(path, page.encode("utf-8", "replace").decode())  # a file's name can hold what UTF-8 cannot
    album.clear()
    return path

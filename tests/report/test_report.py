"""The report: one file that holds everything, says what is known, and trusts no file name."""

import json
import re
from contextlib import chdir
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from flawtrace.data.samples import Sample
from flawtrace.detector.decision import Thresholds, decided
from flawtrace.ground.config import Config
from flawtrace.ground.errors import DamagedFileError
from flawtrace.measures.evaluation import Case, Evaluation
from flawtrace.measures.metrics import (
    Decided,
    pixel_f1,
    precision_recall_points,
    reliability,
    roc_points,
    summary,
)
from flawtrace.pictures.images import read_image, write_picture
from flawtrace.report import cases, plots
from flawtrace.report.page import write_report
from flawtrace.report.plots import OperatingPoint
from flawtrace.report.standing import standing, untested
from flawtrace.report.tested import operating_point

SIDE = 32
THRESHOLD = 0.6
TRAINING_SECTIONS = ["labels", "training", "profiles", "visits", "learning", "glossary"]
TEST_SECTIONS = ["verdicts", "suspects", "cases", "curves", "outlines"]
SUMMARY = {
    "seconds": 75.0,
    "peak_memory_mb": 900,
    "threads": 2,
    "device": "cpu",
    "threshold": THRESHOLD,
    "validation": {"pixel_f1_max": 0.71, "pixel_auroc": 0.9, "pixel_ap": 0.7},
    "versions": {"flawtrace": "0.1.0"},
    "num_normal": 12,
    "suspects": [],
    "labelled": ["a.png", "b.png"],
    "defect_types": ["scratch", "hole"],
    "profiles": {
        "updates": [2, 10, 100],
        "quantiles": [0.1, 0.5, 0.9],
        "normal": [[0.3, 0.2, 0.1], [0.4, 0.3, 0.2], [0.5, 0.4, 0.3]],
        "defective": [[0.5, 0.5, 0.4], [0.6, 0.6, 0.5], [0.7, 0.7, 0.6]],
    },
}
CYCLE = {
    "kind": "cycle",
    "return": -20.0,
    "return_exploration": -20.5,
    "return_prediction": 0.5,
    "clone": 0.5,
    "cover": -0.8,
    "prediction": 0.01,
    "defective": 0.02,
    "reconstruction_loss": 0.8,
    "prediction_loss": None,
    "entropy": 2.1,
    "clipped_fraction": 0.1,
    "explained_variance": 0.2,
}


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the pictures of cases lie."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """With one curve: those of all columns are drawn once, in `report`."""
    return trained(tmp_path / "bottle", {"kind": "cycle", "cycle": 0, "return": -20.0})


def trained(folder: Path, *cycles: dict[str, Any]) -> Path:
    """What training leaves behind, without the detector."""
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps(Config().model_dump(mode="json")))
    (folder / "training.json").write_text(json.dumps(SUMMARY))
    rows = [*cycles, {"kind": "fit", "member": 0}]
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    visits = {
        "periods": torch.ones(4, 8, 8),
        "labelled": torch.ones(2, 8, 8),
        "images": torch.rand(2, 3, 8, 8),
    }
    safetensors.torch.save_file(visits, folder / "visits.safetensors")
    return folder


def case(name: str, defect_type: str | None, height: float) -> Case:
    """A square defect that the map rates `height`, or nothing at all with a map of that height."""
    mask = torch.zeros(SIDE, SIDE).bool()
    if defect_type:
        mask[8:16, 8:16] = True
    anomaly_map = torch.full((SIDE, SIDE), 0.1)
    anomaly_map[8:20, 8:16] = height
    numbers = Thresholds.single(THRESHOLD)
    f1 = pixel_f1(anomaly_map[None].numpy(), mask[None].numpy(), THRESHOLD)
    write_picture(Path("images") / name, torch.full((SIDE, SIDE, 3), 127, dtype=torch.uint8))
    found = decided(torch.zeros(3, SIDE, SIDE), anomaly_map, height, numbers, {})
    drawn = Path("masks") / name if defect_type else None
    return Case(Sample(Path("images") / name, drawn, defect_type), mask, found, f1)


def evaluation_of(*cases: Case) -> Evaluation:
    maps = torch.stack([case.anomaly_map for case in cases]).numpy()
    masks = torch.stack([case.mask for case in cases]).numpy()
    scores = np.array([case.score for case in cases])
    metrics = summary(maps, masks, scores, Decided.at(maps, scores, THRESHOLD))
    types = sorted({case.sample.defect_type for case in cases if case.sample.defect_type})
    num_anomalous = sum(case.sample.anomalous for case in cases)
    return Evaluation(
        metrics=metrics,
        per_type=dict.fromkeys(types, metrics),
        thresholds=Thresholds.single(THRESHOLD),
        num_normal=len(cases) - num_anomalous,
        num_anomalous=num_anomalous,
        num_left_out=4,
        cases=cases,
        roc=roc_points(maps, masks),
        precision_recall=precision_recall_points(maps, masks),
        reliability=reliability(maps, masks),
        announced={"alarms": 1, "images": 40, "low": 0.0006, "high": 0.1316},
    )


@pytest.fixture(scope="module")
def report(all_curves: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run with one image of each fate."""
    folder = tmp_path_factory.mktemp("runs")
    with chdir(folder), pytest.MonkeyPatch.context() as patch:  # it is made before `somewhere` is
        patch.setattr(plots, "LEARNING", all_curves)
        evaluation = evaluation_of(
            case("found.png", "scratch", 0.9),
            case("missed.png", "hole", 0.3),
            case("quiet.png", None, 0.2),
            case("alarm.png", None, 0.8),
        )
        cycles = {**CYCLE, "cycle": 0}, {**CYCLE, "cycle": 1, "prediction_loss": 0.9}
        return write_report(trained(folder / "bottle", *cycles), evaluation)


class Page(HTMLParser):
    """What a browser would make of the file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags = [""]
        self.sections: list[str] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        """Where a click leads: within the page, or to a file beside it."""
        self.targets: set[str] = set()
        self.words = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.sections += [str(values["id"])] if tag == "section" else []
        self.sources += [str(values["src"])] if "src" in values else []
        self.links += [str(values["href"])] if tag == "a" else []
        self.links += re.findall(r"url\('(.+?)'\)", str(values.get("style")))
        self.targets |= {str(values["id"])} if "id" in values else set()

    def handle_data(self, data: str) -> None:
        self.words += f" {data.strip()}" if self.tags[-1] != "style" else ""

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", self.words)


def test_the_file_needs_no_other(report: Path) -> None:
    page = Page(report)
    assert report.name == "report.html"
    assert "http" not in report.read_text()
    assert page.sources
    assert all(source.startswith("data:image/") for source in page.sources)
    assert {link[1:] for link in page.links if link[0] == "#"} <= page.targets
    assert not {"script", "link", "iframe"} & set(page.tags)


def test_a_click_leads_to_a_picture_in_full_size_beside_the_page(run: Path) -> None:
    large = torch.full((300, 400, 3), 127, dtype=torch.uint8)
    evaluation = evaluation_of(case("missed.png", "hole", 0.3), case("quiet.png", None, 0.2))
    write_picture(Path("images/missed.png"), large)
    page = Page(write_report(run, evaluation))
    files = [run / link for link in page.links if link[0] != "#"]
    sizes = [tuple(read_image(file).shape[1:]) for file in files]
    assert (300, 400) in sizes
    assert not any(Path(link).is_absolute() for link in page.links)


def test_pictures_go_with_the_last_report_that_shows_them(run: Path) -> None:
    album = run / "report-pictures"
    first = write_report(run, evaluation_of(case("missed.png", "hole", 0.3)))
    kept = set(album.iterdir())
    first.rename(run / "report-1.html")
    write_report(run, evaluation_of(case("other.png", "bent", 0.4), case("quiet.png", None, 0.2)))
    assert kept <= set(album.iterdir())
    (run / "report-1.html").unlink()
    write_report(run)
    assert not album.exists()


def test_plots_are_in_the_fonts_and_colours_of_the_page(report: Path) -> None:
    drawn = re.findall(r"<svg.*?</svg>", report.read_text(), re.DOTALL)
    assert len(drawn) >= 9
    for plot in drawn:
        assert "font-size" in plot
        assert "Helvetica" not in plot
        assert "#ffffff" not in plot.lower()
        assert "var(--ink)" in plot


def test_internals_are_folded_away_and_the_glossary_is_last(report: Path) -> None:
    text = report.read_text()
    folded = text[text.index("<details") : text.index("</details>")]
    assert all(f'id="{name}"' in folded for name in ("profiles", "visits", "learning"))
    assert "<details open" not in text
    assert text.index('id="glossary"') > text.index("</details>")


def test_tables_scroll_in_a_box_of_their_own(report: Path) -> None:
    text = report.read_text()
    assert text.count("<table>") == text.count('<div class="scroll">\n<table>') > 0


def test_an_evaluated_run_has_every_section_in_order(report: Path) -> None:
    assert Page(report).sections == [*TEST_SECTIONS, *TRAINING_SECTIONS]


def test_without_an_evaluation_the_scores_are_called_validation(run: Path) -> None:
    page = Page(write_report(run))
    assert page.sections == ["suspects", "validation", *TRAINING_SECTIONS]
    assert "Not tested yet." in page.text
    assert "flawtrace evaluate bottle PARTS" in page.text
    assert "Validation scores, not a test" in page.text
    assert "0.710 Validation pixel F1_max" in page.text


def test_the_header_counts_what_the_stored_threshold_finds(report: Path) -> None:
    text = Page(report).text
    assert (
        "✕ Not to be used as it is. 1 of 2 defects found 1 of 2 good parts rejected 0 of 4 left UNSURE"
        in text
    )
    assert "Of 100 good parts like these, about 50 would be rejected (1 to 99 %)." in text
    assert "Training estimated 1 to 132 per 1,000. So many would occur by chance in at most 25 %" in text


def test_a_table_says_what_became_of_good_parts_and_of_each_type(report: Path) -> None:
    text = Page(report).text
    assert "good parts – 1 0 1 1 of 2 rejected 1 to 99" in text
    assert "hole weak 1 0 of 1 1 0 0 1 of 1 escaped" in text
    assert "scratch 1 1 of 1 0 0 1 0 of 1 escaped" in text
    assert "all defects 1 of 2 1 0 1 1 of 2 escaped 1 to 99" in text


def test_every_wrong_verdict_is_shown_and_a_page_of_many_takes_them_from_beside_it(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first ones with all their pictures, then small ones."""
    monkeypatch.setattr(cases, "EMBEDDED", 4)
    missed = [case(f"missed{number}.png", "hole", 0.3) for number in range(30)]
    rejected = [case(f"rejected{number}.png", None, 0.9) for number in range(7)]
    path = write_report(run, evaluation_of(*missed, *rejected))
    page = Page(path)
    assert all(one.sample.image.name in page.text for one in [*missed, *rejected])
    assert path.read_text().count('alt="truth of missed') == cases.SHOWN_ROWS
    beside = [source for source in page.sources if not source.startswith("data:")]
    assert len(beside) == 37 - 2 * cases.SHOWN_ROWS - 4
    assert all((run / source).is_file() for source in beside)


def test_pictures_that_are_shown_together_are_no_neighbours(run: Path) -> None:
    """Files side by side are often shots of one part."""
    missed = [case(f"{number}.png", "hole", 0.01 * number) for number in range(20)]
    (group,) = cases.grouped(missed)
    assert [one.sample.image.name for one in group.parts[0].rows] == ["0.png", "4.png", "8.png"]
    assert group.count == 20


def test_shots_that_look_alike_are_not_shown_together(run: Path) -> None:
    """Under another light, and far from each other in the folder."""
    missed = [case(f"{number}.png", "hole", 0.01 * number) for number in range(20)]
    rng = torch.Generator().manual_seed(0)
    for number in range(20):
        picture = torch.randint(0, 200, (SIDE, SIDE, 3), generator=rng, dtype=torch.uint8)
        write_picture(Path(f"images/{number}.png"), picture)
    first = (read_image(Path("images/0.png")) * 255).permute(1, 2, 0).round().to(torch.uint8)
    write_picture(Path("images/4.png"), first + 20)
    (group,) = cases.grouped(missed)
    assert [one.sample.image.name for one in group.parts[0].rows] == ["0.png", "5.png", "9.png"]


def test_misses_come_by_type(run: Path) -> None:
    missed = [case(f"{kind}{n}.png", kind, 0.3) for n in range(2) for kind in ("hole", "bent")]
    (group,) = cases.grouped(missed)
    assert [part.kind for part in group.parts] == ["bent", "hole"]


def test_labelled_images_are_shown_by_type_as_far_as_they_are_still_there(run: Path, tmp_path: Path) -> None:
    write_picture(tmp_path / "there.png", torch.full((SIDE, SIDE, 3), 127, dtype=torch.uint8))
    files = [str(tmp_path / "there.png"), str(tmp_path / "gone.png")]
    summary = {**SUMMARY, "labelled_files": files, "defect_types": ["hole", "bent"]}
    (run / "training.json").write_text(json.dumps(summary))
    path = write_report(run)
    assert path.read_text().count('alt="there.png"') == 1
    assert 'alt="gone.png"' not in path.read_text()
    assert "gone.png" in Page(path).text


def test_a_good_part_has_no_column_for_the_truth(run: Path) -> None:
    rejected = case("rejected.png", None, 0.9)
    text = write_report(run, evaluation_of(case("found.png", "hole", 0.9), rejected)).read_text()
    assert text.count('alt="prediction for rejected.png"') == 1
    assert "truth of rejected.png" not in text
    assert "truth of found.png" in text


@pytest.mark.parametrize(
    ("alarms", "misses", "colour", "advice"),
    [
        (0, 0, "good", "flawtrace predict"),
        (2, 0, "fair", "--max-false-alarms"),
        (0, 2, "fair", "Label more"),
        (9, 1, "poor", "--images"),
    ],
)
def test_a_box_says_whether_it_can_be_used_and_what_is_next(
    alarms: int, misses: int, colour: str, advice: str
) -> None:
    good = [case("good.png", None, 0.9 if number < alarms else 0.2) for number in range(20)]
    bad = [case("bad.png", "hole", 0.3 if number < misses else 0.9) for number in range(20)]
    found = standing(evaluation_of(*good, *bad))
    assert found.colour == colour
    assert any(advice in f"{step.why} {step.command}" for step in found.steps)


def test_a_detector_that_is_always_unsure_is_not_called_ready() -> None:
    cases = [case("some.png", kind, 0.5) for kind in [None, "hole"] * 10]
    doubtful = [replace(one, prediction=replace(one.prediction, verdict="UNSURE")) for one in cases]
    found = standing(evaluation_of(*doubtful))
    assert found.colour == "fair"
    assert "UNSURE" in found.steps[0].why


def test_commands_name_the_run_as_a_shell_wants_it() -> None:
    good = evaluation_of(case("bad.png", "hole", 0.9), case("good.png", None, 0.2))
    assert standing(good, run="my run").steps[0].command == "flawtrace predict 'my run' IMAGES"


@pytest.mark.parametrize(("alarms", "colour"), [(0, "fair"), (5, "poor")])
def test_without_a_test_it_is_never_called_ready(alarms: int, colour: str) -> None:
    summary = {
        "misses": {"alarms": 1, "images": 20},
        "validation": {"found": 0.9},
        "false_alarms": {"alarms": alarms, "images": 10},
    }
    found = untested(summary)
    assert found.colour == colour
    assert [(count.number, count.of) for count in found.counts] == [(18, 20), (alarms, 10)]
    assert found.steps[0].command == "flawtrace evaluate RUN PARTS"


def test_without_labels_the_report_says_that_nothing_is_known_of_defects(run: Path) -> None:
    unlabelled = {"labelled": [], "defect_types": [], "misses": {"alarms": 0, "images": 0}}
    (run / "training.json").write_text(json.dumps(SUMMARY | unlabelled | {"validation": {}}))
    page = Page(write_report(run))
    assert "trained on 12 normal images and no label" in page.text
    assert "How many defects it finds is not known: there was no label." in page.text
    assert "none; it learnt from made-up defects" in page.text
    assert not {"labels", "validation", "glossary"} & set(page.sections)


def test_without_normal_images_missed_defects_still_count() -> None:
    found = standing(evaluation_of(*(case("bad.png", "hole", 0.3) for _ in range(9))))
    assert (found.colour, found.word) == ("poor", "Not to be used as it is.")


def test_what_cannot_be_decided_anew_is_not_advised(run: Path) -> None:
    settings = json.loads((run / "settings.json").read_text()) | {"score": "maximum"}
    (run / "settings.json").write_text(json.dumps(settings))
    evaluation = evaluation_of(case("alarm.png", None, 0.8), case("missed.png", "hole", 0.3))
    assert "flawtrace decide" not in Page(write_report(run, evaluation)).text


def test_cases_say_what_went_wrong(report: Path) -> None:
    text = Page(report).text
    assert "hole Image Truth Anomaly map Prediction missed.png OK 0.300 missed" in text
    assert "alarm.png DEFECT 0.800 false alarm" in text
    assert "quiet.png OK 0.200" in text
    assert "found.png DEFECT 0.900 F1 of the outline" in text


def test_an_image_is_shown_once_however_few_there_are(run: Path) -> None:
    evaluation = evaluation_of(case("only.png", "scratch", 0.9), case("quiet.png", None, 0.2))
    assert Page(write_report(run, evaluation)).text.count("only.png") == 1


def test_metrics_that_are_not_defined_are_dashes(run: Path) -> None:
    evaluation = evaluation_of(case("found.png", "scratch", 0.9))
    text = Page(write_report(run, evaluation)).text
    assert evaluation.metrics["image_auroc"] is None
    assert "– Image AUROC" in text
    assert "There were no normal images to measure false alarms." in text


def test_names_are_text_and_never_markup(run: Path) -> None:
    name = "<script>alert(1)<"
    (run / "training.json").write_text(json.dumps({**SUMMARY, "labelled": [name, "b.png"]}))
    evaluation = evaluation_of(case(name, "<b>hole", 0.9), case("quiet.png", None, 0.2))
    path = write_report(run, evaluation)
    assert "<script" not in path.read_text()
    assert "<b>hole" not in path.read_text()
    assert Page(path).text.count(name) == 3


def test_a_name_that_utf8_cannot_hold_does_no_harm(run: Path) -> None:
    evaluation = evaluation_of(case("bad\udcff.png", "scratch", 0.9), case("quiet.png", None, 0.2))
    assert "bad?.png" in Page(write_report(run, evaluation)).text


@pytest.mark.parametrize(("file", "section"), [("visits.safetensors", "visits"), ("log.jsonl", "learning")])
def test_what_was_not_stored_is_left_out(run: Path, file: str, section: str) -> None:
    (run / file).unlink()
    expected = ["suspects", "validation", *(name for name in TRAINING_SECTIONS if name != section)]
    assert Page(write_report(run)).sections == expected


def test_the_summary_of_an_old_training_is_enough(run: Path) -> None:
    (run / "settings.json").write_text("{}")
    (run / "training.json").write_text("{}")
    assert Page(write_report(run)).sections == ["training", "visits", "learning"]


def test_visits_without_images_still_show_the_quarters(run: Path) -> None:
    periods = torch.ones(4, 8, 8)
    periods[1] = 0
    safetensors.torch.save_file({"periods": periods}, run / "visits.safetensors")
    text = Page(write_report(run)).text
    assert "quarter 1 quarter 3 quarter 4" in text
    assert "labelled images" not in text.partition("Where the sampler took patches")[2]


def test_a_fixed_sampler_has_no_policy_to_show(run: Path) -> None:
    row = {name: value for name, value in CYCLE.items() if name not in ("entropy", "clipped_fraction")}
    del row["explained_variance"]
    (run / "log.jsonl").write_text(json.dumps({**row, "cycle": 0}) + "\n")
    text = Page(write_report(run)).text
    assert "Return and its two terms" in text
    assert "Entropy of the policy" not in text


@pytest.mark.parametrize("file", ["settings.json", "training.json"])
def test_a_run_without_its_facts_is_a_named_error(run: Path, file: str) -> None:
    (run / file).unlink()
    with pytest.raises(DamagedFileError, match=file):
        write_report(run)


def test_damaged_visits_are_a_named_error(run: Path) -> None:
    (run / "visits.safetensors").write_bytes(b"not a tensor")
    with pytest.raises(DamagedFileError, match=r"visits\.safetensors"):
        write_report(run)


def test_the_operating_point_agrees_with_a_count_by_hand() -> None:
    evaluation = evaluation_of(case("found.png", "scratch", 0.9), case("quiet.png", None, 0.2))
    assert operating_point(evaluation) == OperatingPoint(
        recall=1.0, precision=64 / 96, false_positive_rate=32 / (2 * SIDE * SIDE - 64)
    )


def test_the_same_run_gives_the_same_file(run: Path) -> None:
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first

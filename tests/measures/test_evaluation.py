"""Held-out numbers: what is scored, what is left out, and what the numbers are."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from flawtrace import verbs
from flawtrace.data.folders import read_category
from flawtrace.data.splits import draw_split
from flawtrace.detector.alarms import Errors
from flawtrace.detector.artefact import Detector
from flawtrace.measures.errors import NothingToEvaluateError
from flawtrace.measures.evaluation import Evaluation, _metrics, evaluate
from flawtrace.measures.metrics import PIXEL_METRICS, RATES
from flawtrace.measures.pairing import compared


@pytest.fixture(scope="module")
def evaluation(run: Path, category: Path) -> Evaluation:
    return evaluate(Detector.load(run), read_category(category).samples)


def test_no_image_of_the_training_is_scored(evaluation: Evaluation, category: Path) -> None:
    split = draw_split(read_category(category), 2, 42)
    scored = {case.sample.image for case in evaluation.cases}
    assert scored == {sample.image for sample in split.test}
    assert evaluation.num_left_out == len(split.normal) + len(split.labelled)


def test_training_images_are_known_by_content_not_by_name(
    evaluation: Evaluation, run: Path, category: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "renamed"
    shutil.copytree(category, copy)
    for file in sorted((copy / "train/good").iterdir()):
        Image.open(file).save(file.with_name(f"other-{file.stem}.bmp"))
        file.unlink()
    assert evaluate(Detector.load(run), read_category(copy).samples).num_left_out == evaluation.num_left_out


def test_every_metric_is_there_over_all_and_per_type(evaluation: Evaluation) -> None:
    names = ["pixel_auroc", "pixel_ap", "pixel_f1_max", "pixel_aupro", "image_auroc", "image_ap", "pixel_f1"]
    names += RATES
    assert sorted(evaluation.metrics) == sorted(names)
    assert set(evaluation.per_type) == {"hole", "scratch", "stain"}
    assert all(sorted(metrics) == sorted(names) for metrics in evaluation.per_type.values())


def test_verdicts_are_counted_as_they_are_given(evaluation: Evaluation) -> None:
    normal = [case.prediction.verdict for case in evaluation.cases if not case.sample.anomalous]
    anomalous = [case.prediction.verdict for case in evaluation.cases if case.sample.anomalous]
    assert evaluation.false_alarms == Errors(normal.count("DEFECT"), len(normal))
    assert evaluation.misses == Errors(anomalous.count("OK"), len(anomalous))
    assert evaluation.metrics["false_alarm_rate"] == pytest.approx(normal.count("DEFECT") / len(normal))
    assert evaluation.metrics["miss_rate"] == pytest.approx(anomalous.count("OK") / len(anomalous))
    unsure = (normal + anomalous).count("UNSURE")
    assert evaluation.metrics["unsure_rate"] == pytest.approx(unsure / len(evaluation.cases))


def test_a_folder_of_known_images_is_refused(run: Path, category: Path, tmp_path: Path) -> None:
    copy = tmp_path / "known"
    shutil.copytree(category, copy)
    for sample in draw_split(read_category(copy), 2, 42).test:
        sample.image.unlink()
        if sample.mask:
            sample.mask.unlink()
    with pytest.raises(NothingToEvaluateError, match="did not see"):
        evaluate(Detector.load(run), read_category(copy).samples)


def test_the_verb_leaves_metrics_and_a_report(run: Path, category: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    evaluation = verbs.evaluate(copy, category)
    assert '"pixel_aupro"' in (copy / "metrics.json").read_text()
    assert evaluation.cases[0].sample.image.name in (copy / "report.html").read_text()


def test_a_detector_without_its_run_can_be_evaluated(run: Path, category: Path, tmp_path: Path) -> None:
    alone = tmp_path / "detector.safetensors"
    shutil.copy(run / alone.name, alone)
    of_the_file = verbs.evaluate(alone, category)
    assert list(tmp_path.iterdir()) == [alone]
    assert verbs.evaluate(tmp_path, category).metrics == of_the_file.metrics
    assert {path.name for path in tmp_path.iterdir()} == {alone.name, "metrics.json", "evaluation.csv"}


def test_of_many_images_for_training_so_many_are_looked_at(category: Path) -> None:
    found = read_category(category)
    few = found.for_testing(4)
    assert few[: len(found.test_normal)] == found.test_normal
    assert few[-3:] == found.normal[::3]
    assert set(found.for_testing(100)) == set(found.samples)


def rows_of(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((run / "evaluation.csv").read_text().splitlines()))


def test_test_images_alone_can_be_evaluated(own_run: Path, category: Path, tmp_path: Path) -> None:
    whole = verbs.evaluate(own_run, category).metrics
    shutil.copytree(category / "test", tmp_path / "parts/test")
    shutil.copytree(category / "ground_truth", tmp_path / "parts/ground_truth")
    assert verbs.evaluate(own_run, tmp_path / "parts").metrics == whole


def test_defects_without_masks_count_in_numbers_about_images_alone(
    own_run: Path, category: Path, tmp_path: Path
) -> None:
    masked = verbs.evaluate(own_run, category)
    copy = Path(shutil.copytree(category, tmp_path / "parts"))
    shutil.rmtree(copy / "ground_truth")
    found = verbs.evaluate(own_run, copy)
    of_images = [name for name in found.metrics if name not in PIXEL_METRICS]
    assert [found.metrics[name] for name in PIXEL_METRICS] == [None] * 5
    assert [found.metrics[name] for name in of_images] == [masked.metrics[name] for name in of_images]
    assert found.num_unmasked == found.num_anomalous == masked.num_anomalous
    assert (found.false_alarms, found.misses) == (masked.false_alarms, masked.misses)
    assert {row["f1"] for row in rows_of(own_run)} == {""}


def test_a_defect_too_small_for_the_working_size_stays_a_defect(
    own_run: Path, category: Path, tmp_path: Path
) -> None:
    """Its mask has a pixel in the file, and none where the detector works."""
    copy = Path(shutil.copytree(category, tmp_path / "parts"))
    for mask in (copy / "ground_truth/hole").iterdir():
        large = Image.new("L", (2048, 2048))
        large.putpixel((1, 1), 255)
        large.save(mask)
        image = copy / "test/hole" / mask.name.replace("_mask", "")
        Image.open(image).resize((2048, 2048)).save(image, compress_level=1)
    found, masked = verbs.evaluate(own_run, copy), verbs.evaluate(own_run, category)
    holes = found.per_type["hole"]
    assert found.num_vanished == len(list((copy / "ground_truth/hole").iterdir()))
    assert found.num_unmasked == 0
    assert found.metrics["miss_rate"] == found.misses.alarms / found.misses.images
    assert found.metrics["false_alarm_rate"] == masked.metrics["false_alarm_rate"]
    assert found.false_alarms == masked.false_alarms
    assert [holes[name] for name in PIXEL_METRICS] == [None] * 5
    assert holes["image_auroc"] is not None
    (paired,) = [change for change in compared(found, found, 0).changes if change.name == "miss_rate"]
    assert paired.before == found.metrics["miss_rate"]


def test_without_any_image_whose_pixels_are_known_there_are_numbers_about_images(
    evaluation: Evaluation,
) -> None:
    cases = [
        replace(case, sample=replace(case.sample, mask=None), mask=torch.zeros_like(case.mask))
        for case in evaluation.cases
        if case.sample.anomalous
    ]
    found = _metrics(cases)
    assert [found[name] for name in PIXEL_METRICS] == [None] * 5
    assert found["miss_rate"] is not None
    alone = replace(evaluation, cases=tuple(cases), metrics=found)
    assert {change.name for change in compared(alone, alone, 0).changes} == {"miss_rate", "unsure_rate"}


def test_pixels_of_a_type_without_masks_are_left_out(own_run: Path, category: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(category, tmp_path / "parts"))
    shutil.rmtree(copy / "ground_truth/hole")
    found = verbs.evaluate(own_run, copy)
    alone = evaluate(
        Detector.load(own_run),
        [sample for sample in read_category(copy).for_testing(100) if sample.defect_type != "hole"],
    )
    assert {name: found.metrics[name] for name in PIXEL_METRICS} == {
        name: alone.metrics[name] for name in PIXEL_METRICS
    }
    assert found.per_type["hole"]["pixel_auroc"] is None
    assert found.per_type["hole"]["image_auroc"] is not None


def test_the_table_has_a_row_for_each_image(own_run: Path, category: Path) -> None:
    evaluation = verbs.evaluate(own_run, category)
    rows = rows_of(own_run)
    assert [row["image"] for row in rows] == [str(case.sample.image) for case in evaluation.cases]
    for row, case in zip(rows, evaluation.cases, strict=True):
        assert (row["verdict"], row["defect_type"]) == (
            case.prediction.verdict,
            case.sample.defect_type or "normal",
        )
        assert bool(row["f1"]) == case.sample.anomalous == (row["mask"] == "yes")


def test_an_earlier_evaluation_is_kept_unless_it_says_the_same(
    own_run: Path, category: Path, tmp_path: Path
) -> None:
    kept: list[Path] = []
    verbs.evaluate(own_run, category, keeping=kept.append)
    verbs.evaluate(own_run, category, keeping=kept.append)
    assert kept == []
    before = (own_run / "evaluation.csv").read_text()
    copy = Path(shutil.copytree(category, tmp_path / "parts"))
    (copy / "test/good/000.png").unlink()
    verbs.evaluate(own_run, copy, keeping=kept.append)
    assert {path.name for path in kept} == {"metrics-1.json", "evaluation-1.csv", "report-1.html"}
    assert (own_run / "evaluation-1.csv").read_text() == before

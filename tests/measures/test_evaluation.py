"""Held-out numbers: what is scored, what is left out, and what the numbers are."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from flawtrace import verbs
from flawtrace.data.folders import read_category
from flawtrace.data.splits import draw_split
from flawtrace.detector.alarms import Errors
from flawtrace.detector.artefact import Detector
from flawtrace.measures.errors import NothingToEvaluateError
from flawtrace.measures.evaluation import Evaluation, evaluate
from flawtrace.measures.metrics import RATES


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
    assert {path.name for path in tmp_path.iterdir()} == {alone.name, "metrics.json"}


def test_of_many_images_for_training_so_many_are_looked_at(category: Path) -> None:
    found = read_category(category)
    few = found.for_testing(4)
    assert few[: len(found.test_normal)] == found.test_normal
    assert few[-3:] == found.normal[::3]
    assert set(found.for_testing(100)) == set(found.samples)

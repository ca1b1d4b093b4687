"""The one artefact: what it promises about maps, masks and scores, and which files it refuses."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from torch import nn

from flawtrace import verbs
from flawtrace.data.folders import read_category
from flawtrace.data.splits import draw_split
from flawtrace.detector.artefact import Detector, resized
from flawtrace.detector.errors import DamagedDetectorError, ForeignDetectorError
from flawtrace.detector.facts import Facts
from flawtrace.detector.file import FORMAT, checksum
from flawtrace.ground.presets import load_config
from flawtrace.method.cycle import Cycle
from flawtrace.method.material import Prepared, prepare
from flawtrace.method.reader import Reader
from flawtrace.pictures.images import fit, read_image


@pytest.fixture(scope="module")
def detector(run: Path) -> Detector:
    return Detector.load(run)


@pytest.mark.parametrize("size", [(64, 64), (16, 200), (301, 97)])
def test_a_map_has_the_size_of_its_image(detector: Detector, size: tuple[int, int]) -> None:
    found = detector.predict(torch.rand(3, *size))
    assert found.anomaly_map.shape == found.mask.shape == size


def test_mask_score_and_verdict_agree(detector: Detector) -> None:
    found = detector.predict(torch.rand(3, 80, 50))
    verdict = detector.thresholds.verdict(found.score)
    assert 0 <= found.score <= 1
    assert found.verdict == ("UNSURE" if found.doubt else verdict)
    assert found.anomalous == bool(found.mask.any())
    assert found.anomalous or verdict != "DEFECT"
    assert not found.anomalous or verdict != "OK"


def test_a_map_is_a_probability(detector: Detector) -> None:
    anomaly_map = detector.predict(torch.rand(3, 64, 64)).anomaly_map
    assert anomaly_map.min() >= 0
    assert anomaly_map.max() <= 1


def test_predicting_changes_nothing(detector: Detector) -> None:
    image = torch.rand(3, 64, 64)
    first = detector.predict(image).anomaly_map
    detector.predict(torch.rand(3, 64, 64))
    assert torch.equal(detector.predict(image).anomaly_map, first)


def test_an_image_is_judged_alone(detector: Detector) -> None:
    images = torch.rand(3, 3, 64, 64)
    together = detector.anomaly_maps(images)
    alone = torch.cat([detector.anomaly_maps(image[None]) for image in images])
    assert torch.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("diversity", ["reset", "bottleneck_dropout"])
def test_the_profile_of_a_training_image_equals_the_one_that_training_saw(
    category: Path, tiny: dict[str, Any], diversity: str
) -> None:
    config = load_config(settings=tiny | {"autoencoder.diversity": diversity})
    split = draw_split(read_category(category), 2, 0)
    *_, prepared = prepare(split, config)
    assert isinstance(prepared, Prepared)
    cycle = Cycle(prepared.material, torch.zeros_like(prepared.material.coverage), config)
    while not cycle.over:
        cycle.advance(cycle.walkers.anywhere(cycle.rng))
    snapshots = cycle.history.snapshots(cycle.autoencoder.network)
    reader = Reader(prepared.encoder, snapshots, config.grid, "nothing")
    detector = Detector(config, Facts(0.5, {}, (), "", {}), reader, [cycle.online.learner.network])
    images = torch.stack([fit(read_image(sample.image), config.image_side) for sample in split.labelled])
    seen = {int(index): row for row, index in enumerate(cycle.online.tracked) if index < len(images)}
    read = detector.reader(images).profiles
    trained = cycle.history.profiles()
    assert seen
    assert all(torch.allclose(read[index], trained[row], atol=1e-6) for index, row in seen.items())


def test_a_detector_survives_its_file(detector: Detector, tmp_path: Path) -> None:
    detector.save(tmp_path / "copy.safetensors")
    image = torch.rand(3, 64, 64)
    again = Detector.load(tmp_path / "copy.safetensors")
    assert torch.equal(again.predict(image).anomaly_map, detector.predict(image).anomaly_map)
    assert again.facts == detector.facts


def test_a_detector_of_format_3_is_read_and_decides_by_its_one_threshold(
    category: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    """It had no memory, no judge, no calibration and no scores; its score was its map's maximum."""
    inputs = ["profile", "canvas", "picture"]
    verbs.train(category, tmp_path / "run", settings=tiny | {"predictor.inputs": inputs})
    detector = Detector.load(tmp_path / "run")
    later = ("reader.memory.", "judge.", "calibration.")
    state = {name: value for name, value in detector.state_dict().items() if not name.startswith(later)}
    config = detector.config.model_dump(mode="json")
    for name in ("score", "variation", "max_misses"):
        del config[name]
    facts = {**vars(detector.facts)}
    for name in ("decision", "misses", "held_out", "num_labelled"):
        del facts[name]
    header = {"format": 3, "config": config, "facts": facts, "checksum": checksum(state)}
    state = {name: value.contiguous() for name, value in state.items()}
    safetensors.torch.save_file(state, tmp_path / "old.safetensors", {"flawtrace": json.dumps(header)})
    old, image = Detector.load(tmp_path / "old.safetensors"), torch.rand(3, 64, 64)
    found = old.predict(image)
    detector.save(tmp_path / "uncalibrated.safetensors")
    uncalibrated = Detector.load(tmp_path / "uncalibrated.safetensors")
    uncalibrated.calibration = nn.Identity()
    assert found.anomaly_map.equal(uncalibrated.predict(image).anomaly_map)
    assert found.score == float(found.anomaly_map.max())
    assert found.mask.equal(found.anomaly_map >= old.thresholds.outline)
    assert len({*vars(old.thresholds).values()}) == 1
    old.save(tmp_path / "again.safetensors")
    assert Detector.load(tmp_path / "again.safetensors").predict(image).anomaly_map.equal(found.anomaly_map)


EIGHTH: dict[str, Any] = {"familiar_in_region": False, "folds": ()}
"""Facts that format 8 is the first to have, with what they are without it."""


def with_header(detector: Detector, file: Path, **other: Any) -> Path:
    """The detector's file, in which some entries of the header are others."""
    state = {name: value.contiguous() for name, value in detector.state_dict().items()}
    header = detector.header | {"checksum": checksum(state)} | other
    safetensors.torch.save_file(state, file, {"flawtrace": json.dumps(header)})
    return file


@pytest.mark.parametrize(
    ("format", "later"),
    [
        (
            5,
            {
                "num_labelled": None,
                "num_normal": None,
                "autoencoder": (),
                "familiar_in_region": False,
                "folds": (),
            },
        ),
        (6, {"num_normal": None, "autoencoder": (), **EIGHTH}),
        (7, EIGHTH),
    ],
)
def test_a_detector_of_an_earlier_format_is_read_and_answers_as_before(
    format: int, later: dict[str, Any], detector: Detector, tmp_path: Path
) -> None:
    """It did not count its labels, or its normal images, or did not look at a region of interest alone."""
    facts = {name: value for name, value in vars(detector.facts).items() if name not in later}
    old = Detector.load(with_header(detector, tmp_path / "old.safetensors", format=format, facts=facts))
    image = torch.rand(3, 64, 64)
    assert old.facts == replace(detector.facts, **later)
    assert old.facts.autoencoder_digests == old.facts.digests
    assert old.facts.entries == {name: value for name, value in facts.items() if value != ()}
    assert old.predict(image).anomaly_map.equal(detector.predict(image).anomaly_map)
    assert old.predict(image).score == detector.predict(image).score
    old.save(tmp_path / "again.safetensors")
    again = Detector.load(tmp_path / "again.safetensors")
    assert again.predict(image).score == old.predict(image).score


def test_a_file_that_does_not_say_what_it_was_trained_on_is_damaged(
    detector: Detector, tmp_path: Path
) -> None:
    facts = {name: value for name, value in vars(detector.facts).items() if name != "digests"}
    with pytest.raises(DamagedDetectorError, match="digests"):
        Detector.load(with_header(detector, tmp_path / "none.safetensors", facts=facts))


@pytest.mark.parametrize("format", [4, 9, None])
def test_another_format_is_refused_by_its_number(
    format: int | None, detector: Detector, tmp_path: Path
) -> None:
    later = {**vars(detector.facts), "of_tomorrow": 1}
    file = with_header(detector, tmp_path / "other.safetensors", format=format, facts=later)
    with pytest.raises(
        ForeignDetectorError, match=f"format {format}, but this version reads .* 3, 5, 6, 7 and 8"
    ):
        Detector.load(file)


def test_facts_of_another_name_need_a_new_format() -> None:
    """An earlier version takes an entry that it does not know for damage, instead of naming the format."""
    names = (
        "autoencoder decision digests false_alarms familiar familiar_in_region fingerprint folds held_out "
        "misses num_labelled num_normal threshold validation versions"
    )
    assert FORMAT == 8
    assert sorted(field.name for field in fields(Facts)) == names.split()


def test_the_header_tells_settings_versions_threshold_and_data(detector: Detector) -> None:
    assert detector.config.labels == 2
    assert {"flawtrace", "torch"} <= set(detector.facts.versions)
    assert 0 < detector.thresholds.outline <= detector.thresholds.peak <= 1
    assert len(detector.facts.digests) == 9 + 2 * 3
    assert detector.facts.fingerprint


@given(cut=st.integers(1, 99))
def test_a_truncated_detector_is_refused(run: Path, tmp_path_factory: Any, cut: int) -> None:
    whole = (run / "detector.safetensors").read_bytes()
    broken = tmp_path_factory.mktemp("broken") / "detector.safetensors"
    broken.write_bytes(whole[: len(whole) * cut // 100])
    with pytest.raises(DamagedDetectorError, match="damaged"):
        Detector.load(broken)


def test_somebody_elses_file_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "model.safetensors"
    foreign.write_bytes(safetensors.torch.save({"weight": torch.ones(3)}))
    with pytest.raises(ForeignDetectorError, match="not a detector"):
        Detector.load(foreign)


def test_a_missing_detector_is_named(tmp_path: Path) -> None:
    with pytest.raises(ForeignDetectorError, match="no such file"):
        Detector.load(tmp_path)


def test_a_weight_that_is_no_number_is_refused(run: Path, tmp_path: Path) -> None:
    detector = Detector.load(run)
    next(detector.members.parameters()).data.fill_(float("nan"))
    detector.save(tmp_path / "nan.safetensors")
    with pytest.raises(DamagedDetectorError, match="finite"):
        Detector.load(tmp_path / "nan.safetensors")


def test_resizing_to_a_coarser_grid_keeps_the_mean() -> None:
    maps = torch.rand(2, 64, 64)
    assert torch.allclose(resized(maps, 16, 16).mean(), maps.mean(), atol=1e-2)


def test_resizing_to_the_same_size_changes_nothing() -> None:
    maps = torch.rand(2, 20, 30)
    assert torch.equal(resized(maps, 20, 30), maps)


def test_one_flipped_bit_in_the_weights_is_noticed(run: Path, tmp_path: Path) -> None:
    content = bytearray((run / "detector.safetensors").read_bytes())
    content[-100] ^= 1
    (tmp_path / "detector.safetensors").write_bytes(content)
    with pytest.raises(DamagedDetectorError, match="not those that were written"):
        Detector.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("validation", {"pixel_f1_max": None}),
        ("validation", {"pixel_f1_max": "much"}),
        ("validation", None),
        ("false_alarms", {"alarms": []}),
        ("familiar", {"contrast": [1.0]}),
        ("familiar", {"charm": [0.0, 1.0]}),
    ],
)
def test_facts_that_are_no_numbers_are_refused_with_the_file(
    detector: Detector, tmp_path: Path, name: str, value: Any
) -> None:
    header = json.loads(json.dumps(detector.header))
    header["facts"][name] = value
    state = {key: tensor.contiguous() for key, tensor in detector.state_dict().items()}
    file = tmp_path / "detector.safetensors"
    safetensors.torch.save_file(state, file, metadata={"flawtrace": json.dumps(header)})
    with pytest.raises(DamagedDetectorError, match="detector"):
        Detector.load(file)


def test_every_kind_of_picture_is_judged_alike(detector: Detector, category: Path) -> None:
    file = next((category / "test/hole").glob("*.png"))
    pixels = np.asarray(Pillow.open(file).convert("RGB"))
    expected = detector.predict(read_image(file))
    alike = [
        detector.predict(str(file)),
        detector.predict(Pillow.fromarray(pixels)),
        detector.predict(pixels),
        detector.predict(pixels[..., ::-1], order="bgr"),
        *detector.predict_all([file, pixels]),
        *detector.predict_all(pixels[None]),
    ]
    assert all(torch.equal(found.anomaly_map, expected.anomaly_map) for found in alike)
    assert {(found.score, found.verdict) for found in alike} == {(expected.score, expected.verdict)}

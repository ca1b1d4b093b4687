"""Settings: where they come from, and which are refused."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from flawtrace.ground.config import Config
from flawtrace.ground.errors import SettingsError, UnknownSettingError
from flawtrace.ground.groups import PredictorConfig
from flawtrace.ground.presets import load_config, setting_help, setting_names


def test_a_value_is_blamed_on_where_it_was_set(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("labels = 3")
    with pytest.raises(SettingsError, match="Cannot use cycles from the settings"):
        load_config(file=file, settings={"cycles": -1})
    file.write_text("labels = -3")
    with pytest.raises(SettingsError, match=r"Cannot use labels from .*mine\.toml:"):
        load_config(file=file, settings={"cycles": 1})


@pytest.mark.parametrize("preset", ["paper", "script"])
def test_two_presets_have_the_published_parts(preset: str) -> None:
    config = load_config(preset)
    assert (config.cell, config.image_side, config.profile.length) == (1, 256, 10)
    assert (config.copies, config.labels) == (6, 5)
    assert (config.sampler.patch_side, config.sampler.crop_side, config.sampler.stride) == (64, 128, 24)
    assert (config.encoder, config.autoencoder.kind, config.predictor.kind) == (
        "pixels",
        "published",
        "published",
    )


def test_the_script_walks_at_random_and_both_reset_every_twenty_updates() -> None:
    script, paper = load_config("script"), load_config("paper")
    assert (script.sampler.kind, paper.sampler.kind) == ("random-walk", "learned")
    for config in (script, paper):
        assert (config.updates, config.last_updates, config.profile.spacing) == (20, 20, "consecutive")


def test_flags_win_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("seed = 7\n[sampler]\nstride = 16\n")
    config = load_config("light", file, {"seed": 8})
    assert (config.seed, config.sampler.stride, config.labels) == (8, 16, 5)


def test_a_preset_that_a_file_names_brings_its_settings(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('preset = "paper"\nseed = 7')
    assert load_config(file=file) == load_config("paper", settings={"seed": 7})
    assert load_config(settings={"preset": "script"}) == load_config("script")
    with pytest.raises(SettingsError, match=r"settings\.toml: it is paper there, and script was asked for"):
        load_config("script", file)


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("sampler.strid", "sampler.stride"), ("label", "labels"), ("predictor.step", "predictor.steps")],
)
def test_an_unknown_setting_names_the_nearest(typo: str, meant: str) -> None:
    with pytest.raises(UnknownSettingError, match=meant):
        load_config(settings={typo: 1})


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UnknownSettingError, match="Did you mean light"):
        load_config("lihgt")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"sampler.stride": 64}, "gaps"),
        ({"sampler.kind": "selecting", "sampler.walkers": 401}, "at most 400"),
        ({"image_side": 250}, "multiple of cell"),
        ({"updates": 3}, "fewer than profile.length"),
        ({"predictor.members": 5}, "leaves one fold out"),
        ({"labels": "many"}, "integer"),
        ({"cell": 2}, "stride is 4"),
        ({"encoder": "pixels", "orientations": 4}, "no network"),
    ],
)
def test_a_setting_that_cannot_work_says_why(settings: dict[str, object], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        load_config(settings=settings)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("seed = = 3")
    with pytest.raises(SettingsError, match=r"settings\.toml"):
        load_config(file=file)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Config().seed = 3  # type: ignore[misc]


def test_every_setting_has_a_name_a_value_and_a_meaning() -> None:
    rows = list(setting_help(Config()))
    assert [name for name, _, _ in rows] == setting_names()
    assert [name for name, _, meaning in rows if not meaning] == []


def test_the_settings_survive_json() -> None:
    config = load_config("paper")
    assert Config.model_validate(config.model_dump(mode="json")) == config


def test_light_may_reconstruct_pixels_without_any_weights() -> None:
    config = load_config(settings={"encoder": "pixels"})
    assert (config.cell, config.autoencoder.stages) == (2, 3)


@pytest.mark.parametrize(("updates", "observed"), [(300, (298, 299, 300)), (2, (1, 2))])
def test_the_last_updates_of_a_cycle_are_observed_as_far_as_there_are_any(
    updates: int, observed: tuple[int, ...]
) -> None:
    config = load_config(settings={"profile.spacing": "last", "profile.observations": 3, "profile.length": 2})
    assert config.observed(updates) == observed


def test_what_holds_without_labels_fades_as_they_come() -> None:
    """But not to nothing: it speaks for the types that no label shows."""
    weights = [PredictorConfig().settled(count) for count in (0, 1, 2, 4, 5, 50)]
    assert [one.recall for one in weights] == pytest.approx([1 / 2, 1 / 4, 1 / 6, 0.1, 0.1, 0.1])
    assert [one.self_supervised for one in weights] == pytest.approx([0, 1 / 4, 1 / 6, 0.1, 0.1, 0.1])


@pytest.mark.parametrize("chosen", [{"inputs": ("canvas", "picture")}, {"kind": "published"}])
def test_who_sees_nothing_to_learn_from_without_labels_is_alone(chosen: dict[str, Any]) -> None:
    assert PredictorConfig(**chosen).settled(1).self_supervised == 0

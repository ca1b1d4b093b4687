"""A search over settings with Ray Tune, by scores on labels that training held out."""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.basic_variant import BasicVariantGenerator

from flawtrace.cluster.connecting import Needs, refuse_if_nowhere
from flawtrace.cluster.errors import NothingToTuneError, OtherSearchError
from flawtrace.cluster.space import DEFAULT, domains
from flawtrace.cluster.tasks import RETRIES, settle_in, wait_until_free
from flawtrace.data import draw_available, read_folder, refuse_foreign
from flawtrace.ground.config import Config
from flawtrace.ground.devices import ready
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.files import locked, read_json, write_json, write_text
from flawtrace.ground.presets import load_config
from flawtrace.pictures.region import read_region, region_file
from flawtrace.training import Trained, train

SCORE = "pixel_ap"
"""Average precision over the pixels of held-out labels: no threshold is chosen for it."""
SEARCH_NAME = "search.json"
SETTINGS_NAME = "settings.toml"
TRIALS_NAME = "trials.json"
ETA = 2
"""Share of the trials that go on after each training: one in so many."""


@dataclass(frozen=True)
class Search:
    """What is searched, and on what."""

    folder: Path
    preset: str
    base: dict[str, Any]
    """Settings that all trials have, by dotted name."""
    space: dict[str, Any]
    trials: int
    repeats: int
    """Trainings of a trial at most, each with a seed of its own, on the same labels."""
    device: str

    def to_json(self) -> dict[str, Any]:
        """Plain values: what tells searches apart."""
        return asdict(self) | {"folder": str(self.folder.absolute())}

    def config(self, chosen: Mapping[str, Any]) -> Config:
        config = load_config(self.preset, settings={**self.base, **chosen})
        drawn = region_file(self.folder) if config.region is None else None
        return config.model_copy(update={"region": read_region(drawn)}) if drawn else config


@dataclass(frozen=True)
class Trial:
    """One choice of settings, and how it did."""

    settings: dict[str, Any]
    score: float | None
    """Mean over its trainings; None if it has none."""
    trainings: int
    error: str | None = None


@dataclass(frozen=True)
class Tuned:
    """What a search found."""

    best: Trial
    trials: tuple[Trial, ...]
    settings_file: Path

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"settings_file": str(self.settings_file)}


def search(
    folder: Path,
    out: Path,
    *,
    preset: str = "light",
    settings: Mapping[str, Any] | None = None,
    space: Mapping[str, Any] | None = None,
    trials: int = 16,
    repeats: int = 4,
    threads: int = 1,
    memory: float = 4.0,
    device: str = "cpu",
    progress: Callable[[Trial], None] | None = None,
) -> Tuned:
    """Search for settings that do well on one product, and leave them in `out`/settings.toml.

    To be called while this process is `connected`. Trainings of a trial differ by their seed alone: labels
    are drawn once, as `flawtrace train` draws them, and a trial's score is the mean average precision over
    the pixels of labels that its predictors had not seen. The other images of defects, on which
    `flawtrace evaluate` tests, are never looked at. After each training, half of the trials end (ASHA). A
    second call goes on with what is not finished; what a trial was in the middle of goes on, too.

    Raises:
        SettingsError, UnknownSettingError: the settings, or values in the search space, cannot work.
        DataError, NothingToTuneError: the folder cannot be learnt from, or has no labels to judge by.
        NoRoomError: no node is large enough for a training.
        OtherSearchError, ForeignFolderError: `out` holds something else.
    """
    ready(device)
    asked = Search(folder, preset, dict(settings or {}), dict(space or DEFAULT), trials, repeats, device)
    choices = domains(asked.space, preset, asked.base)
    config = asked.config({})
    if not draw_available(read_folder(folder).category, config.labels, config.seed).labelled:
        raise NothingToTuneError(folder)
    needs = Needs.of(threads, memory, device)
    refuse_if_nowhere(needs)
    if not (out / SEARCH_NAME).exists():
        refuse_foreign(out)
    with locked(out):
        _claim(out, asked)
        found = _found(_tuner(asked, choices, out, needs, progress).fit())
        best = max(found, key=lambda trial: (trial.trainings, trial.score or -1.0))
        if best.score is None:
            raise NothingToTuneError(folder, best.error)
        write_json(out / TRIALS_NAME, [asdict(trial) for trial in found])
        write_text(out / SETTINGS_NAME, as_toml(asked.base | best.settings))
    return Tuned(best, tuple(found), out / SETTINGS_NAME)


def _claim(out: Path, asked: Search) -> None:
    file = out / SEARCH_NAME
    if not file.exists():
        write_json(file, asked.to_json())
    elif read_json(file) != asked.to_json():
        raise OtherSearchError(out)


def _tuner(
    asked: Search, choices: dict[str, Any], out: Path, needs: Needs, progress: Callable[[Trial], None] | None
) -> tune.Tuner:
    """A search that begins, or goes on where it was stopped."""
    work = partial(_trial, asked=asked, out=out.absolute(), here=Path.cwd(), threads=needs.threads)
    options = needs.options
    resources = {"cpu": options["num_cpus"], "gpu": options["num_gpus"], "memory": options["memory"]}
    trainable = tune.with_resources(work, resources)
    place = out.absolute() / "tune"
    if tune.Tuner.can_restore(str(place / "trials")):
        return tune.Tuner.restore(
            str(place / "trials"),
            trainable,
            resume_unfinished=True,
            restart_errored=False,
            param_space=choices,
        )
    halving = ASHAScheduler(max_t=asked.repeats, grace_period=1, reduction_factor=ETA)
    drawing = BasicVariantGenerator(random_state=asked.config({}).seed)
    return tune.Tuner(
        trainable,
        param_space=choices,
        tune_config=tune.TuneConfig(
            metric="score", mode="max", num_samples=asked.trials, scheduler=halving, search_alg=drawing
        ),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(place),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            callbacks=[_Told(progress)] if progress else [],
        ),
    )


def _trial(chosen: dict[str, Any], *, asked: Search, out: Path, here: Path, threads: int) -> None:
    """In a process of a node: training after training, until Ray Tune ends the trial."""
    settle_in(here, threads)
    scores: list[float] = []
    if (kept := tune.get_checkpoint()) is not None:
        with kept.as_directory() as folder:
            scores = read_json(Path(folder) / "scores.json")
    run = out / "runs" / tune.get_context().get_trial_id()
    while len(scores) < asked.repeats:
        try:
            scores.append(_score(asked, chosen, run / str(len(scores)), len(scores)))
        except FlawtraceError as error:  # settings that do not go together end their own trial alone
            tune.report({"score": -1.0, "error": str(error), "trainings": len(scores)})
            return
        with tempfile.TemporaryDirectory() as folder:
            write_json(Path(folder) / "scores.json", scores)
            told = {"score": fmean(scores), "trainings": len(scores)}
            tune.report(told, checkpoint=tune.Checkpoint.from_directory(folder))


def _score(asked: Search, chosen: Mapping[str, Any], run: Path, index: int) -> float:
    """Of one training, which goes on where an earlier process was stopped."""
    config = asked.config(chosen)
    split = draw_available(read_folder(asked.folder).category, config.labels, config.seed)
    config = config.model_copy(update={"seed": config.seed + index})
    wait_until_free(run)
    for event in train(split, config, run, resume=True, device=ready(asked.device)):
        if isinstance(event, Trained):
            return float(event.summary["validation"][SCORE])
    raise AssertionError("training ends with a detector")


def _found(results: Any) -> list[Trial]:
    return [_as_trial(result.config or {}, result.metrics or {}, result.error) for result in results]


def _as_trial(settings: dict[str, Any], told: Mapping[str, Any], died: object = None) -> Trial:
    count = int(told.get("trainings", 0))
    error = told.get("error") or (str(died).strip().rpartition("\n")[2] if died else None)
    return Trial(dict(settings), float(told["score"]) if count and not error else None, count, error)


class _Told(tune.Callback):  # type: ignore[misc] # (Ray's classes have no types here)
    """Tells of each training that is over."""

    def __init__(self, progress: Callable[[Trial], None]) -> None:
        self._progress = progress

    def on_trial_result(self, *, trial: Any, result: dict[str, Any], **_: Any) -> None:
        self._progress(_as_trial(trial.config, result))

    def __getstate__(self) -> dict[str, Any]:
        return {"_progress": _ignore}  # a search that goes on has another listener


def _ignore(_: Trial) -> None:
    """Nobody listens."""


def as_toml(settings: Mapping[str, Any]) -> str:
    """Dotted names as TOML, for `flawtrace train --settings`.

    >>> print(as_toml({"copies": 3, "predictor.lr": 0.01, "score": "maximum"}), end="")
    copies = 3
    predictor.lr = 0.01
    score = "maximum"
    """
    return "".join(f"{name} = {_value(value)}\n" for name, value in settings.items())


def _value(value: Any) -> str:
    """JSON's numbers, strings and lists are TOML's."""
    return json.dumps(value)

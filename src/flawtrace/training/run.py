"""The whole of training: sampler, autoencoder and predictor learn together, and one file comes out.

The paper's algorithm is `learn_together`; one update of it is `Cycle.advance`.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from flawtrace.data import Split
from flawtrace.data.pieces import images_of, passed_over, pieces
from flawtrace.detector import Detector
from flawtrace.ground import devices
from flawtrace.ground.config import Config
from flawtrace.ground.files import locked, read_json, write_json
from flawtrace.ground.presets import differences, stored_config
from flawtrace.ground.run_files import CHECKPOINT_NAME, DETECTOR_NAME, SETTINGS_NAME, SUMMARY_NAME
from flawtrace.method import Features, Pixels, Prepared, prepare, scout
from flawtrace.pictures.images import read_image
from flawtrace.training.checkpoint import Checkpoint
from flawtrace.training.deciding import decided
from flawtrace.training.errors import (
    DataChangedError,
    NothingToLearnFromError,
    OneAutoencoderError,
    OtherSettingsError,
    RunExistsError,
    TooFewNormalError,
)
from flawtrace.training.last_fit import ROUNDS, fit_last
from flawtrace.training.loop import fit_members, learn_together
from flawtrace.training.progress import Drawn, Event, Plan
from flawtrace.training.roster import Changes, Roster
from flawtrace.training.rounds import Collector
from flawtrace.training.study import Clock, Journal, Study
from flawtrace.training.summary import conclude, write_visits

FEWEST_NORMAL = 4
"""Normal images on which a rate of false alarms can be measured at all."""


@dataclass(frozen=True)
class Trained:
    """The last thing that training yields."""

    detector: Detector
    summary: dict[str, Any]
    changes: Changes | None = None
    """Of the images since, if the run was finished before; None if it was trained now."""


def train(
    split: Split,
    config: Config,
    run: Path,
    *,
    resume: bool = False,
    device: torch.device = devices.PROCESSOR,
    prepared: Prepared | None = None,
    collector: Collector | None = None,
) -> Iterator[Event | Trained]:
    """Train on a split, yielding after every update; the detector lands in the folder `run`.

    A run that was stopped goes on with `resume`, to the same bits as one that never stopped (on the same
    machine, with the same number of threads). Runs on one split share what reading it `prepared`. With a
    `collector`, the cycles from which the policy learns are side by side: see `rounds`.

    Raises:
        RunExistsError: `run` holds a run and `resume` is not set.
        OtherSettingsError: it has other settings.
        DataChangedError: the images are not those with which the stopped run began.
        FolderInUseError: another process is training in `run`.
        DivergedError: a loss is no longer a finite number.
        OneAutoencoderError: there is a `collector`, and one autoencoder is to live through all cycles.
    """
    if collector and config.autoencoder.diversity != "reset":
        raise OneAutoencoderError
    with locked(run):
        clock = Clock()
        if (finished := _finished(run, config, split, resume)) is not None:
            yield finished
            return
        saved = Checkpoint(run / CHECKPOINT_NAME).read() if resume else None
        split, roster, changes = _started_with(split, run, resumed=saved is not None)
        yield Drawn("drawing labels", 0.0, 1.0, split=split, changes=changes)
        reasons = list(passed_over(split, config))
        split = pieces(split, config)
        _refuse_rate_without_normal(split, config)
        refuse_nothing_to_learn_from(split, config)
        plan = Plan.of(config, split, saved)
        prepared = prepared or (yield from read_images(split, config, plan, device))
        roster.write(run)
        write_json(run / SETTINGS_NAME, config.model_dump(mode="json"))
        settled = config.predictor.settled(len(images_of(split.labelled)))
        config = config.model_copy(update={"variation": prepared.variation, "predictor": settled})
        study = Study(prepared, scout(prepared.material, config), config, clock)
        journal = Journal(run, study, saved)
        yield from learn_together(study, journal, plan, collector)
        snapshots = study.cycle.history.snapshots(study.cycle.autoencoder.network)
        fit_all = partial(fit_members, study, journal, plan)
        fitted = yield from fit_last(
            snapshots,
            prepared,
            split,
            config,
            fit_all,
            set_aside=study.set_aside,
            rounds=ROUNDS - study.begun_again,
        )
        detector = decided(fitted, prepared, split, config)
        detector.save(run / DETECTOR_NAME)
        write_visits(study, run)
        summary = conclude(detector, prepared, fitted, split, run, clock=clock, reasons=reasons)
        yield Trained(detector, summary)


def read_images(
    split: Split, config: Config, plan: Plan, device: torch.device, encoder: Pixels | Features | None = None
) -> Generator[Event, None, Prepared]:
    """What `prepare` makes of the split, by an encoder that is calibrated already, if there is one."""
    for progress in prepare(split, config, device, encoder):
        if isinstance(progress, Prepared):
            return progress
        yield plan.loading_event(progress.done, progress.total)
    raise AssertionError("prepare ends with what it prepared")


def _refuse_rate_without_normal(split: Split, config: Config) -> None:
    """Before hours are spent: a rate of false alarms is measured on images that a predictor has not seen."""
    rate = config.max_false_alarms
    if rate is not None and len(images_of(split.normal)) < FEWEST_NORMAL:
        raise TooFewNormalError(rate)


def refuse_nothing_to_learn_from(split: Split, config: Config) -> None:
    """Before hours are spent.

    Raises:
        NothingToLearnFromError: what a predictor is judged by leaves nothing to it.
    """
    labels, normal = len(images_of(split.labelled)), len(images_of(split.normal))
    if (labels < 2 and normal < 2) or not (labels or config.predictor.made_up):
        raise NothingToLearnFromError(normal, labels, config.predictor.made_up)


def refuse_other_settings(run: Path, config: Config) -> None:
    """Before anything is written.

    Raises:
        OtherSettingsError: the folder holds a run that was made otherwise.
    """
    settings = run / SETTINGS_NAME
    if settings.exists() and (
        others := differences(stored_config(read_json(settings), str(settings)), config)
    ):
        raise OtherSettingsError(run, others)


def _finished(run: Path, config: Config, split: Split, resume: bool) -> Trained | None:
    """What `run` holds, if that is a finished run; None where one can begin or go on.

    A run that was stopped before anything of it was kept is begun again, with `resume` or without.
    """
    if not any((run / name).exists() for name in (CHECKPOINT_NAME, DETECTOR_NAME, SUMMARY_NAME)):
        return None
    if not resume:
        raise RunExistsError(run, resumable=True)
    refuse_other_settings(run, config)
    if not (run / SUMMARY_NAME).exists():
        return None
    detector, summary = Detector.load(run), read_json(run / SUMMARY_NAME)
    if (roster := Roster.read(run)) is not None:
        changes = roster.changes(Roster.of(roster.with_known(split)))
        if changes.gone == len({entry.content for entry in roster.normal + roster.defects}):
            raise DataChangedError(run, str(changes))
        return Trained(detector, summary, changes)
    if not all(detector.knows(read_image(image)) for image in images_of(split.labelled)):
        raise DataChangedError(run)
    return Trained(detector, summary, Changes())


def _started_with(split: Split, run: Path, resumed: bool) -> tuple[Split, Roster, Changes]:
    """What a run learns from: `split`, or, if it is `resumed`, the split that it was started with.

    Raises:
        DataChangedError: some of that is gone or has changed.
    """
    if not resumed or (started := Roster.read(run)) is None:
        return split, Roster.of(split), Changes()
    split = started.with_known(split)
    now = Roster.of(split)
    return started.restored(split, now, run), started, started.changes(now)

"""The whole of training: sampler, autoencoder and predictor learn together, and one file comes out.

The paper's algorithm is `learn_together`; one update of it is `Cycle.advance`.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from flawtrace.data.errors import TooFewLabelsError
from flawtrace.data.folders import Split
from flawtrace.data.pieces import images_of, pieces, sources_of
from flawtrace.detector.alarms import with_rate
from flawtrace.detector.artefact import FILE_NAME, Detector, Facts, origin
from flawtrace.detector.doubts import doubts, image_doubts, policy_doubts
from flawtrace.ground import devices
from flawtrace.ground.config import Config
from flawtrace.ground.files import locked, read_json, read_jsonl, write_bytes, write_json
from flawtrace.ground.learner import derive
from flawtrace.ground.memory import peak_memory_mb
from flawtrace.ground.presets import stored_config
from flawtrace.method import encoder
from flawtrace.method.environment import scout
from flawtrace.method.material import Prepared, prepare
from flawtrace.method.reader import Reader
from flawtrace.pictures.images import read_image
from flawtrace.training.errors import DataChangedError, RunExistsError, TooFewNormalError
from flawtrace.training.exam import Exam, deal, examine, judge, learnt_reader, lesson, normal_scores
from flawtrace.training.progress import Event, Plan
from flawtrace.training.study import CHECKPOINT_NAME, LOG_NAME, Clock, Journal, Study, checked
from flawtrace.training.suspects import Witnesses, named, suspects, write_suspects

SETTINGS_NAME = "settings.json"
SUMMARY_NAME = "training.json"

QUANTILES = (0.1, 0.5, 0.9)
"""Of the loss profiles of normal and of defective cells, for the report."""


@dataclass(frozen=True)
class Trained:
    """The last thing that training yields."""

    detector: Detector
    summary: dict[str, Any]


def train(
    split: Split,
    config: Config,
    run: Path,
    *,
    resume: bool = False,
    device: str = "cpu",
    prepared: Prepared | None = None,
) -> Iterator[Event | Trained]:
    """Train on a split, yielding after every update; the detector lands in the folder `run`.

    A run that was stopped goes on with `resume`, to the same bits as one that never stopped (on the same
    machine, with the same number of threads). Runs on one split share what reading it `prepared`.

    Raises:
        RunExistsError: `run` holds a run and `resume` is not set, or it has other settings.
        DataChangedError: the images are not those with which the stopped run began.
        MissingDeviceError: there is no such device.
        FolderInUseError: another process is training in `run`.
        DivergedError: a loss is no longer a finite number.
    """
    place = devices.ready(device)
    with locked(run):
        clock = Clock()
        config = _with_folds_for(config, len(images_of(split.labelled)))
        if (finished := _finished(run, config, split, resume)) is not None:
            yield finished
            return
        split = pieces(split, config)
        _refuse_rate_without_normal(split, config)
        plan = Plan.of(config, split)
        prepared = prepared or (yield from read_images(split, config, plan, place))
        write_json(run / SETTINGS_NAME, config.model_dump(mode="json"))
        study = Study(prepared, scout(prepared.material, config), config, clock)
        journal = Journal(run, study, resume)
        yield from learn_together(study, journal, plan)
        snapshots = study.cycle.history.snapshots(study.cycle.autoencoder.network)
        reader = learnt_reader(snapshots, prepared, config)
        exam = examine(reader, study.material, split, config)
        yield from fit_members(study, exam, reader, journal, plan)
        detector = Detector(config, _facts(study, exam, prepared), reader, study.members)
        detector.save(run / FILE_NAME)
        yield Trained(detector, _conclude(study, exam, split, detector, run))


def learn_together(study: Study, journal: Journal, plan: Plan) -> Iterator[Event]:
    """The paper's algorithm, cycle by cycle: sample, reconstruct, predict, reward, learn.

    In the last cycle the policy is frozen, and the autoencoder's snapshots become the detector's.
    """
    config, cycle, sampler = study.config, study.cycle, study.sampler
    while study.index <= config.cycles:
        last = study.index == config.cycles
        if last:
            sampler.freeze()
        if not study.begun:
            updates = config.last_updates if last else config.updates
            cycle.begin(derive(config.seed, 4, study.index), updates)
            study.begun = True
        while not cycle.over:
            places = sampler.place(cycle.walkers, cycle.rng)
            rewards, feedback = cycle.advance(places)
            sampler.credit(rewards)
            study.note(feedback)
            journal.offer_checkpoint()
            yield plan.cycle_event(study, feedback)
        journal.write(study.end_cycle(sampler.learn(cycle.rng)))


def fit_members(study: Study, exam: Exam, reader: Reader, journal: Journal, plan: Plan) -> Iterator[Event]:
    """Fit each member on what the detector's own reader shows, without its fold."""
    while len(study.members) < study.config.predictor.members:
        fit = study.fit = study.fit or study.next_fit()
        learnt = lesson(fit.member, exam, reader, study.material, study.config)
        while not fit.over:
            fit.advance(learnt)
            checked("prediction loss", fit.loss, fit.step)
            journal.offer_checkpoint()
            yield plan.fit_event(fit)
        journal.write({"kind": "fit", "member": fit.member, "steps": fit.steps, "prediction_loss": fit.loss})
        study.members.append(fit.finish(learnt))
        study.fit = None
        del learnt  # before the next one is made: each holds hundreds of canvases


def read_images(
    split: Split, config: Config, plan: Plan, device: torch.device
) -> Generator[Event, None, Prepared]:
    frozen = encoder.build(config).to(device)
    for progress in prepare(split, frozen, config):
        if isinstance(progress, Prepared):
            return progress
        yield plan.loading_event(progress.done, progress.total)
    raise AssertionError("prepare ends with what it prepared")


def _facts(study: Study, exam: Exam, prepared: Prepared) -> Facts:
    """Threshold, scores on held-out labels and false alarms, all at that threshold."""
    judgement, normal = judge(study.members, exam), normal_scores(study.members, exam)
    threshold, found = with_rate(judgement.threshold, normal, study.config.max_false_alarms)
    validation = judgement.scores(threshold)
    return Facts(
        threshold,
        validation,
        prepared.digests,
        study.fingerprint,
        origin(),
        found.to_json(),
        prepared.familiar,
    )


def _conclude(study: Study, exam: Exam, split: Split, detector: Detector, run: Path) -> dict[str, Any]:
    """Write down what the report needs, and clear the checkpoint away; returns the summary."""
    facts, witnesses = detector.facts, Witnesses(study.members, detector.reader, detector.threshold)
    found = suspects(witnesses, exam, study.material, split)
    write_suspects(found, run)
    summary = {
        "detector": str(run / FILE_NAME),
        "seconds": round(study.clock.seconds, 1),
        "processor_seconds": round(study.clock.processor_seconds, 1),
        "peak_memory_mb": peak_memory_mb(),
        "device_memory_mb": devices.peak_memory_mb(study.device),
        "threads": torch.get_num_threads(),
        "device": devices.named(study.device),
        "threshold": facts.threshold,
        "validation": facts.validation,
        "false_alarms": facts.false_alarms,
        "warnings": [
            *doubts(facts),
            *image_doubts(study.prepared.num_blank),
            *policy_doubts(list(read_jsonl(run / LOG_NAME))),
        ],
        "fingerprint": facts.fingerprint,
        "versions": facts.versions,
        "seen_as": "tile" if study.config.tile_side else "image",
        "num_normal": study.material.num_normal,
        "labelled": [sample.name for sample in split.labelled],
        "labelled_files": [str(image.resolve()) for image in images_of(split.labelled)],
        "defect_types": [sample.defect_type for sample in split.labelled],
        "suspects": named(found),
        "profiles": _profile_quantiles(study, exam),
    }
    _write_visits(study, run / "visits.safetensors")
    write_json(run / SUMMARY_NAME, summary)
    (run / CHECKPOINT_NAME).unlink(missing_ok=True)
    return summary


def _profile_quantiles(study: Study, exam: Exam) -> dict[str, Any]:
    """Loss profiles of normal and of defective cells of the labelled images: quantiles per snapshot,
    means over scales.
    """
    examples = exam.labelled[: study.material.num_labelled]
    observed = study.config.observed(study.config.last_updates)[-study.config.profile.length :]
    scales = len(study.material.scales)
    by_snapshot = torch.stack(torch.split(examples.views.profiles, scales, dim=1), dim=1)
    cells = by_snapshot.mean(dim=2).movedim(1, -1)
    quantiles = torch.tensor(QUANTILES)
    groups = {"normal": examples.coverage == 0, "defective": examples.coverage >= 0.5}
    curves = {
        name: torch.quantile(_at_most(cells[where].cpu(), 50_000), quantiles, dim=0).tolist()
        for name, where in groups.items()
        if where.any()
    }
    return {"updates": list(observed), "quantiles": list(QUANTILES), **curves}


def _at_most(rows: Tensor, count: int) -> Tensor:
    return rows[:: len(rows) // count + 1]


def _write_visits(study: Study, path: Path) -> None:
    """Where patches were taken: per quarter of the training, and in the last cycle on each labelled image."""
    walkers, num_normal = study.cycle.walkers, study.material.num_normal
    tensors = {
        "periods": study.visits,
        "labelled": walkers.visits[num_normal:],
        "images": study.material.images[num_normal:],
    }
    write_bytes(path, safetensors.torch.save({name: t.cpu().contiguous() for name, t in tensors.items()}))


def _with_folds_for(config: Config, num_labelled: int) -> Config:
    """The settings, with no more folds than there are labels."""
    if num_labelled < 2:
        raise TooFewLabelsError(num_labelled)
    count = min(config.predictor.folds, num_labelled)
    members = min(config.predictor.members, count)
    limited = config.predictor.model_copy(update={"folds": count, "members": members})
    return config.model_copy(update={"predictor": limited})


def _refuse_rate_without_normal(split: Split, config: Config) -> None:
    """Before hours are spent: a rate of false alarms is measured on normal images that are kept back."""
    rate = config.max_false_alarms
    if rate is not None and not len(deal(sources_of(split.normal), len(split.labelled), config).kept):
        raise TooFewNormalError(rate)


def refuse_other_settings(run: Path, config: Config) -> None:
    """Before anything is written.

    Raises:
        RunExistsError: the folder holds a run that was made otherwise.
    """
    settings = run / SETTINGS_NAME
    if settings.exists() and stored_config(read_json(settings), str(settings)) != config:
        raise RunExistsError(run, "holds a run with other settings")


def _finished(run: Path, config: Config, split: Split, resume: bool) -> Trained | None:
    """What `run` holds, if that is a finished run; None where one can begin or go on."""
    settings = run / SETTINGS_NAME
    if not settings.exists():
        return None
    if not resume:
        raise RunExistsError(run, "holds a run already")
    refuse_other_settings(run, config)
    if not (run / SUMMARY_NAME).exists():
        return None
    detector = Detector.load(run)
    if not all(detector.knows(read_image(image)) for image in images_of(split.labelled)):
        raise DataChangedError(run)
    return Trained(detector, read_json(run / SUMMARY_NAME))

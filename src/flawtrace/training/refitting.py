"""Fitting a detector again: to new labels, corrected masks, more normal images. What needs no label stays.

Encoder and autoencoder snapshots are the detector's own, and its self-supervised predictors unless normal
images that they know are gone; novelty and memory, other predictors, judge and thresholds are made anew.
"""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from flawtrace.data import Split
from flawtrace.data.pieces import images_of, passed_over, pieces
from flawtrace.detector import Detector
from flawtrace.ground import devices
from flawtrace.ground.config import Config
from flawtrace.ground.files import locked, write_json
from flawtrace.ground.groups import ALL_INPUTS, ENOUGH, SETTLED
from flawtrace.ground.run_files import DETECTOR_NAME, SETTINGS_NAME
from flawtrace.method import Blended, Compact, Material, Predictor, Prepared, Reader
from flawtrace.training.deciding import decided
from flawtrace.training.errors import RunExistsError
from flawtrace.training.exam import Exam, lesson
from flawtrace.training.fitting import Fit
from flawtrace.training.last_fit import fit_last
from flawtrace.training.progress import Drawn, Event, Plan
from flawtrace.training.roster import Changes
from flawtrace.training.run import Trained, read_images, refuse_nothing_to_learn_from
from flawtrace.training.study import Clock, checked
from flawtrace.training.summary import conclude

EARLIER = {"recall": 0.0, "self_supervised": 0.0, "memory_side": 16}
"""What followed from `EARLIER_LABELS` and more in earlier versions."""
EARLIER_LABELS = 10
STEPS = 400
"""Steps of each predictor, at most: fewer than in training, which has no one waiting. Where one has to learn
without labels, it needs all of them.
"""
MANY_NEW = 0.5
"""Share of normal images new to the autoencoder, from which on it should learn from them too."""
STRANGE = 1.5
"""Times that the median error on new normal images exceeds that on known ones, when they look another way."""
POLL = 0.5
"""Seconds between two reports of progress."""


def refit(
    split: Split, detector: Detector, run: Path, *, device: torch.device = devices.PROCESSOR
) -> Iterator[Event | Trained]:
    """Fit all that reads labels to this split, yielding progress; the new detector lands in the folder `run`.

    On a processor with several threads, members are fitted side by side.

    Raises:
        RunExistsError: `run` holds a run.
        NothingToLearnFromError: what a predictor is judged by leaves nothing to it.
        FolderInUseError: another process is training in `run`.
        DivergedError: a loss is no longer a finite number.
    """
    with locked(run):
        if (run / SETTINGS_NAME).exists():
            raise RunExistsError(run)
        clock = Clock()
        yield Drawn("drawing labels", 0.0, 1.0, split=split, changes=Changes())
        reasons = list(passed_over(split, detector.config))
        split = pieces(split, detector.config)
        refuse_nothing_to_learn_from(split, detector.config)
        num_labelled = len(images_of(split.labelled))
        config = settings_for(detector, num_labelled)
        plan = Plan.of_fits(config, split)
        prepared = yield from read_images(split, config, plan, device, detector.reader.encoder.to(device))
        kept = self_supervised(detector, prepared, config)
        alone = not num_labelled or (config.predictor.self_supervised and not kept)
        plan = replace(plan, config=config if alone else shortened(config, num_labelled))
        fit_all = partial(_fit_together, prepared.material, plan, kept)
        snapshots, before = list(detector.reader.snapshots), folds_before(detector, prepared)
        fitted = yield from fit_last(snapshots, prepared, split, plan.config, fit_all, before=before)
        new = decided(fitted, prepared, split, config, detector.facts.autoencoder_digests)
        new.save(run / DETECTOR_NAME)
        write_json(run / SETTINGS_NAME, config.model_dump(mode="json"))
        reasons += due(detector, prepared, fitted.exam)
        summary = conclude(new, prepared, fitted, split, run, clock=clock, reasons=reasons)
        yield Trained(new, summary)


def settings_for(detector: Detector, num_labelled: int) -> Config:
    """The detector's settings; what followed from how many labels it had is settled again, and what was set
    by hand to something else stays.
    """
    config, known = detector.config, detector.facts.num_labelled
    asked = config.predictor
    if known is not None and known >= EARLIER_LABELS and asked.model_copy(update=EARLIER) == asked:
        asked = asked.model_copy(update=dict.fromkeys(EARLIER))

    def followed(name: str) -> bool:
        if known is None:
            return False
        left_open = asked.model_copy(update={name: None})
        return bool(getattr(left_open.settled(known), name) == getattr(asked, name))

    again = asked.model_copy(update=dict.fromkeys(filter(followed, SETTLED))).settled(num_labelled)
    return config.model_copy(update={"predictor": again})


def self_supervised(detector: Detector, prepared: Prepared, config: Config) -> list[Compact]:
    """Predictors of the detector that learnt without labels, each without the normal images of its fold.

    None if these settings want none, if a normal image that they learnt from is gone, or if many are new.
    """
    wanted, learnt, there = config.predictor, detector.facts.normal_digests, prepared.normal_digests
    if not wanted.self_supervised or learnt is None:
        return []
    unchanged = learnt == there
    grown = bool(detector.facts.folds) and set(learnt) <= set(there)
    if not unchanged and not (grown and len(there) - len(learnt) <= MANY_NEW * len(there)):
        return []
    alone = [member.self_supervised if isinstance(member, Blended) else member for member in detector.members]
    return [one for one in alone if isinstance(one, Compact) and one.inputs == wanted.alone(ALL_INPUTS)]


def folds_before(detector: Detector, prepared: Prepared) -> dict[int, int]:
    """The folds of the normal images, by their numbers, in which the detector knows them."""
    known = dict(zip(detector.facts.normal_digests or (), detector.facts.folds, strict=False))
    images = dict(zip(prepared.material.sources.tolist(), prepared.rows, strict=False))
    return {image: known[content] for image, content in images.items() if content in known}


def shortened(config: Config, num_labelled: int) -> Config:
    """Where nobody learns without labels: with as many steps as nobody minds waiting for, and without made-up
    defects, unless labels are few and these judge.
    """
    asked = config.predictor
    made_up = asked.made_up if num_labelled < ENOUGH else 0
    predictor = asked.model_copy(update={"steps": min(asked.steps, STEPS), "made_up": made_up})
    return config.model_copy(update={"predictor": predictor})


def due(detector: Detector, prepared: Prepared, exam: Exam) -> Iterator[str]:
    """Why a whole training should follow: its autoencoder knows too little of the normal images here."""
    count, learnt = prepared.material.num_normal, set(detector.facts.autoencoder_digests)
    known = torch.tensor([digest in learnt for digest in prepared.rows[:count]])
    if (new := int((~known).sum())) > MANY_NEW * count:
        yield (
            f"{new} of {count} normal images are new to this detector's autoencoder, which stays as it was. "
            "Train a new detector when there is time: `flawtrace train`."
        )
    errors = exam.normal.views.profiles[:, -1].flatten(1).mean(dim=1).cpu()
    if known.any() and not known.all() and errors[~known].median() > STRANGE * errors[known].median():
        yield (
            "The new normal images look unlike those that the autoencoder was trained on. Train a new "
            "detector: `flawtrace train`."
        )


def _fit_together(
    material: Material, plan: Plan, kept: Sequence[Compact], exam: Exam, reader: Reader, *, again: int
) -> Generator[Event, None, list[Predictor]]:
    """Fit all members, but the self-supervised predictors that are `kept`, on a processor side by side;
    returns them in their order.

    Three of them on two cores are done sooner when none has to wait for another to end.
    """
    members = range(plan.config.predictor.members)
    fits = [Fit(member, plan.config, material, kept[member] if kept else None) for member in members]
    on_processor = material.canvases.device.type == "cpu"
    workers = len(fits) if on_processor and torch.get_num_threads() > 1 else 1
    with _one_thread_each(workers), ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(_fitted, fit, exam, reader, material, plan.config) for fit in fits]
        yield from _watched(futures, fits, plan, again)
        return [future.result() for future in futures]


def _watched(
    futures: Sequence[Future[Predictor]], fits: Sequence[Fit], plan: Plan, again: int
) -> Iterator[Event]:
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=POLL)
        for future in done:
            future.result()  # raises what it raised, before the others go on for long
        yield plan.fits_event(fits, again)


def _fitted(fit: Fit, exam: Exam, reader: Reader, material: Material, config: Config) -> Predictor:
    learnt = lesson(fit.member, exam, reader, material, config)
    while not fit.over:
        fit.advance(learnt)
        checked("prediction loss", fit.loss, fit.step)
    return fit.finish(learnt)


@contextmanager
def _one_thread_each(workers: int) -> Iterator[None]:
    """Inside, several workers compute on one thread each; a single one keeps all."""
    threads = torch.get_num_threads()
    if workers > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

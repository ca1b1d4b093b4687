"""Everything a training run is in the middle of, so that it can be stopped anywhere and go on."""

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from flawtrace.ground.config import Config
from flawtrace.ground.files import append_json, read_jsonl, write_text
from flawtrace.ground.run_files import CHECKPOINT_NAME, LOG_NAME
from flawtrace.method import Cycle, Feedback, PolicyStats, Predictor, Prepared, sampler
from flawtrace.training.checkpoint import Checkpoint
from flawtrace.training.errors import DataChangedError, DivergedError
from flawtrace.training.fitting import Fit

PERIODS = 4
"""Quarters of the training whose visit maps are kept apart, for the report."""


class Clock:
    """Time spent on a run so far, earlier sittings included."""

    def __init__(self) -> None:
        self._started, self._processor_started = time.monotonic(), time.process_time()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def processor_seconds(self) -> float:
        """Of all cores together; what runs beside does not count."""
        return time.process_time() - self._processor_started

    def put_forward(self, seconds: float, processor_seconds: float) -> None:
        """Add the time of an earlier sitting."""
        self._started -= seconds
        self._processor_started -= processor_seconds


class Study:
    """Everything a run is in the middle of: what a checkpoint holds."""

    def __init__(self, prepared: Prepared, statics: Tensor, config: Config, clock: Clock) -> None:
        self.prepared = prepared
        self.material = prepared.material
        self.fingerprint = fingerprint(prepared)
        self.config = config
        self.device = statics.device
        self.clock = clock
        self.cycle = Cycle(self.material, statics, config)
        self.sampler = sampler.of_settings(config, self.cycle.walkers.geometry.crop, statics.device)
        self.index = 0
        """The cycle under way; config.cycles is the one that makes the detector."""
        self.begun = False
        self.feedbacks: list[dict[str, Any]] = []
        self.visits = torch.zeros(PERIODS, *statics.shape[1:])
        """Visits per cell, over all images, in each quarter of the training."""
        self.fit: Fit | None = None
        self.members: list[Predictor] = []
        """Predictors whose last fit is over."""
        self.set_aside = torch.zeros(self.material.num_normal, dtype=torch.bool)
        """Normal rows from which `members` do not learn, because they look defective."""
        self.begun_again = 0
        """How often the last fit was begun again, without some of these."""

    def note(self, feedback: Feedback) -> None:
        """Keep what an update did, for the log; a loss that is not finite ends training."""
        self.feedbacks.append(asdict(finite(feedback)))

    def end_cycle(self, stats: PolicyStats | None, visits: Float[Tensor, "rows columns"]) -> dict[str, Any]:
        """Move on to the next cycle; returns the log's row about the one that is over, with its `visits`."""
        period = min(PERIODS - 1, PERIODS * self.index // max(1, self.config.cycles))
        self.visits[period] += visits
        row = {"kind": "cycle", "cycle": self.index, **cycle_row(self.feedbacks)}
        self.index, self.begun, self.feedbacks = self.index + 1, False, []
        return row | (asdict(stats) if stats else {})

    def state(self) -> dict[str, Any]:
        return {
            "fingerprint": self.fingerprint,
            "seconds": self.clock.seconds,
            "processor_seconds": self.clock.processor_seconds,
            "cycle": self.cycle.state(),
            "sampler": self.sampler.state(),
            "index": self.index,
            "begun": self.begun,
            "feedbacks": self.feedbacks,
            "visits": self.visits,
            "members": [member.state_dict() for member in self.members],
            "fit": self.fit.state() if self.fit else None,
            "set_aside": self.set_aside,
            "begun_again": self.begun_again,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.clock.put_forward(state["seconds"], state["processor_seconds"])
        self.cycle.load(state["cycle"])
        self.sampler.load(state["sampler"])
        self.index = state["index"]
        self.begun = state["begun"]
        self.feedbacks = state["feedbacks"]
        self.visits = state["visits"]
        for weights in state["members"]:
            member = self.next_fit().learner.network
            member.load_state_dict(weights)
            self.members.append(member)
        if state["fit"] is not None:
            self.fit = self.next_fit()
            self.fit.load(state["fit"])
        self.set_aside = state.get("set_aside", self.set_aside)  # earlier versions kept none
        self.begun_again = state.get("begun_again", 0)

    def begin_again_without(self, set_aside: Bool[Tensor, " n"]) -> None:
        """Forget the members, which learnt from these normal rows."""
        self.set_aside, self.members, self.fit = set_aside, [], None
        self.begun_again += 1

    def next_fit(self) -> Fit:
        return Fit(len(self.members), self.config, self.material)


class Journal:
    """A run's log and checkpoint, which agree: from a checkpoint on, the log forgets what came after."""

    def __init__(self, run: Path, study: Study, saved: Mapping[str, Any] | None = None) -> None:
        """Of a run that begins, or goes on from the state that was `saved`.

        Raises:
            DataChangedError: the saved state comes from other images.
        """
        self._log = run / LOG_NAME
        self._study = study
        self._checkpoint = Checkpoint(run / CHECKPOINT_NAME)
        self._rows = 0
        if saved is not None:
            if saved["study"]["fingerprint"] != study.fingerprint:
                raise DataChangedError(run)
            study.load(saved["study"])
            self._rows = saved["rows"]
        kept = list(read_jsonl(self._log))[: self._rows]
        write_text(self._log, "".join(json.dumps(row) + "\n" for row in kept))

    def write(self, row: dict[str, Any]) -> None:
        append_json(self._log, row)
        self._rows += 1

    def offer_checkpoint(self) -> None:
        self._checkpoint.offer(self._state)

    def write_checkpoint(self) -> None:
        self._checkpoint.write(self._state())

    def _state(self) -> dict[str, Any]:
        return {"rows": self._rows, "study": self._study.state()}


def checked(what: str, loss: float, update: int) -> float:
    """`loss`, if it is a finite number.

    Raises:
        DivergedError: it is not, so whatever would be trained on is worth nothing.
    """
    if not math.isfinite(loss):
        raise DivergedError(what, update, loss)
    return loss


def finite(feedback: Feedback) -> Feedback:
    """The feedback, if its losses are finite numbers.

    Raises:
        DivergedError: one is not.
    """
    checked("reconstruction loss", feedback.reconstruction_loss, feedback.update)
    if feedback.prediction_loss is not None:
        checked("prediction loss", feedback.prediction_loss, feedback.update)
    return feedback


def fingerprint(prepared: Prepared) -> str:
    """Of everything that training learns from: images, masks, and who is labelled."""
    content = hashlib.sha256(" ".join(prepared.digests).encode())
    content.update(prepared.material.masks.cpu().numpy().tobytes())
    if (ignored := prepared.material.labelled_ignored) is not None:
        content.update(ignored.cpu().numpy().tobytes())
    return content.hexdigest()[:16]


def cycle_row(feedbacks: list[dict[str, Any]]) -> dict[str, Any]:
    """One cycle in the log: the return (sum of rewards, mean over walkers) and what it is made of.

    `clone`, `cover` and `prediction` are means per update, before weights and beta; `return_exploration`
    and `return_prediction` are the sums of the two terms of the composite reward.
    """

    def column(name: str) -> list[float]:
        return [feedback[name] for feedback in feedbacks if feedback[name] is not None]

    exploration = sum(f["exploration"] for f in feedbacks)
    total = sum(column("reward"))
    measured = column("prediction_loss")
    return {
        "updates": len(feedbacks),
        "beta": feedbacks[-1]["beta"],
        "return": total,
        "return_exploration": exploration,
        "return_prediction": total - exploration,
        **{name: fmean(column(name)) for name in ("clone", "cover", "prediction", "defective")},
        "reconstruction_loss": fmean(column("reconstruction_loss")),
        "prediction_loss": measured[-1] if measured else None,
    }

"""The paper's algorithm, alone or with cycles side by side, and the last fit: each read from top to bottom.

One update of the algorithm is `method.cycle.Cycle.advance`.
"""

from collections.abc import Generator, Iterator

from flawtrace.method import Predictor, Reader
from flawtrace.training.exam import Exam, lesson
from flawtrace.training.progress import Event, Plan
from flawtrace.training.rounds import Collector, Round, begin, take_home, walked
from flawtrace.training.study import Journal, Study, checked


def learn_together(
    study: Study, journal: Journal, plan: Plan, collector: Collector | None = None
) -> Iterator[Event]:
    """The paper's algorithm, cycle by cycle: sample, reconstruct, predict, reward, learn.

    In the last cycle the policy is frozen, and the autoencoder's snapshots become the detector's. With a
    `collector`, the others are side by side, unless one has begun already.
    """
    config, cycle, sampler = study.config, study.cycle, study.sampler
    while study.index <= config.cycles:
        last = study.index == config.cycles
        if collector and not last and not study.begun:
            yield from learn_side_by_side(study, journal, plan, collector)
            continue
        if last:
            sampler.freeze()
        if not study.begun:
            updates = config.last_updates if last else config.updates
            begin(cycle, study.index, updates)
            study.begun = True
        while not cycle.over:
            feedback = walked(cycle, sampler)
            study.note(feedback)
            journal.offer_checkpoint()
            yield plan.cycle_event(study, feedback)
        journal.write(study.end_cycle(sampler.learn(cycle.rng), cycle.walkers.visited()))


def learn_side_by_side(study: Study, journal: Journal, plan: Plan, collector: Collector) -> Iterator[Event]:
    """All cycles that are left but the last one, round after round.

    With one cycle in a round, to the same bits as one cycle after the other. A killed process goes on after
    the last round that was over.
    """
    config, cycle, sampler = study.config, study.cycle, study.sampler
    with collector(study.material, cycle.walkers.statics, config) as collect:
        while study.index < config.cycles:
            numbers = range(study.index, min(study.index + collector.count, config.cycles))
            lived = []
            for one in collect(Round(numbers, sampler.state(), cycle.online.learner.state())):
                lived.append(one)
                yield plan.round_event(study, len(lived), len(numbers))
            lived.sort(key=lambda one: one.index)
            rng = take_home(cycle, lived)
            stats = sampler.learn(rng, [one.episode.to(study.device) for one in lived])
            for one in lived:
                for feedback in one.feedbacks:
                    study.note(feedback)
                journal.write(study.end_cycle(stats, one.visits) | {"side_by_side": len(lived)})
            journal.write_checkpoint()


def fit_members(
    study: Study, journal: Journal, plan: Plan, exam: Exam, reader: Reader, *, again: int
) -> Generator[Event, None, list[Predictor]]:
    """Fit each member on what the detector's own reader shows, without its fold."""
    if not exam.set_aside.equal(study.set_aside):
        study.begin_again_without(exam.set_aside)
        journal.write({"kind": "set aside", "rows": exam.set_aside.nonzero()[:, 0].tolist()})
    while len(study.members) < study.config.predictor.members:
        fit = study.fit = study.fit or study.next_fit()
        learnt = lesson(fit.member, exam, reader, study.material, study.config)
        while not fit.over:
            fit.advance(learnt)
            checked("prediction loss", fit.loss, fit.step)
            journal.offer_checkpoint()
            yield plan.fit_event(fit, again)
        journal.write({"kind": "fit", "member": fit.member, "steps": fit.steps, "prediction_loss": fit.loss})
        study.members.append(fit.finish(learnt))
        study.fit = None
        del learnt  # before the next one is made: each holds hundreds of canvases
    return study.members

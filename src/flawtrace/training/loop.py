"""The paper's algorithm, and the last fit after it: each read from top to bottom.

One update of the algorithm is `method.cycle.Cycle.advance`.
"""

from collections.abc import Generator, Iterator

from flawtrace.ground.learner import derive
from flawtrace.method import Predictor, Reader
from flawtrace.training.exam import Exam, lesson
from flawtrace.training.progress import Event, Plan
from flawtrace.training.study import Journal, Study, checked


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

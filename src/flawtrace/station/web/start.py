"""The first page: what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.orm import Session

from flawtrace.station.errors import NotEmptyError
from flawtrace.station.store.jobs import jobs
from flawtrace.station.store.shelf import Filter, counts
from flawtrace.station.store.versions import at_work, versions
from flawtrace.station.web.pages import AtWork, back, page
from flawtrace.station.work.demo import fill

router = APIRouter(include_in_schema=False)
FEW_NORMAL = 20
"""Normal images below which a detector knows little of how good parts vary."""


@dataclass(frozen=True)
class Step:
    """One step on the way to a detector at work."""

    title: str
    text: str
    address: str
    action: str
    done: bool


@router.get("/")
def start(request: Request, station: AtWork) -> HTMLResponse:
    """What there is, and the next step."""
    with station.workspace.database.reading() as session:
        there, failed = counts(session), list(jobs(session, "failed", limit=1))
        steps = steps_of(session, there)
    following = next((step for step in steps if not step.done), None)
    return page(request, "start", steps=steps, following=following, counts=there, failed=failed)


@router.post("/demo")
def demo(station: AtWork) -> RedirectResponse:
    """Add the images of the demo, to an empty workspace alone: they are of no use among others."""
    with station.workspace.database.reading() as session:
        if counts(session)["all"]:
            raise NotEmptyError
    fill(station.workspace)
    return back("/images")


def steps_of(session: Session, there: Mapping[Filter, int]) -> list[Step]:
    """From an empty workspace to a detector that looks at new images; `there` is what each filter lets
    through.
    """
    made, working = versions(session), at_work(session)
    training = [job.id for job in jobs(session, "running", "waiting") if job.task != "look"]
    normal, defects = there["normal"], there["defect"]
    without = f", {there['unpainted']} of these without a mask" if there["unpainted"] else ""
    return [
        Step(
            "Add images",
            f"Photographs of one product, good parts as well as defective ones: {there['all']} so far.",
            "/images",
            "Add images",
            there["all"] > 0,
        ),
        Step(
            "Say what they show",
            f"{normal} normal and {defects} defective so far{without}. About {FEW_NORMAL} normal images are "
            "enough to begin; for a few defective ones, paint where the defect is.",
            "/images?show=unlabelled",
            "Label images",
            normal >= FEW_NORMAL,
        ),
        Step(
            "Train a detector",
            f"Training {training[-1]} is under way; you can go on labelling meanwhile."
            if training
            else "It takes some minutes. You can go on labelling meanwhile.",
            f"/jobs/{training[-1]}" if training else "/train",
            "See how it goes" if training else "Train",
            bool(made),
        ),
        Step(
            "Put it to work",
            "Look at how it does on images that it has not seen, and promote it.",
            "/compare",
            "Compare and promote",
            working is not None,
        ),
        Step(
            "Look at new images",
            "Every verdict is kept. Overrule those that are wrong: the next detector learns from it.",
            "/images?show=unsure",
            "See what is unsure",
            False,
        ),
    ]

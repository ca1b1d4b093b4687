"""What a monitoring system asks for: counts and times, as Prometheus reads them."""

from collections import Counter
from collections.abc import Iterator
from threading import Lock

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy import func, select

from flawtrace.detector import VERDICTS
from flawtrace.station.store.jobs import jobs
from flawtrace.station.store.tables import EntryRow, now
from flawtrace.station.store.versions import at_work
from flawtrace.station.work.station import Station

router = APIRouter(tags=["Health"])
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 30.0)
"""Seconds per image: from an exported detector alone to sixteen images in the queue."""


class Metrics:
    """Of one station; most of it is read from the station when it is asked for, so nothing can disagree."""

    def __init__(self, station: Station) -> None:
        self._station, self._lock = station, Lock()
        self._verdicts: Counter[str] = Counter()
        self._counted = 0
        """The last line of the history that is among `_verdicts`."""
        self._registry = CollectorRegistry()
        self._registry.register(self)
        seconds = Histogram(
            "flawtrace_inspect_seconds",
            "From asking for a verdict to a verdict in the history.",
            registry=self._registry,
            buckets=BUCKETS,
        )
        station.told_seconds.append(seconds.observe)

    def text(self) -> bytes:
        """All of it, in Prometheus' own format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Read from the station, as the registry asks for it."""
        station = self._station
        with station.workspace.database.reading() as session:
            running, detector = len(jobs(session, "running")), at_work(session)
            last = session.scalars(
                select(EntryRow.moment).where(EntryRow.who == "").order_by(EntryRow.id.desc()).limit(1)
            ).first()
        verdicts = CounterMetricFamily(
            "flawtrace_verdicts", "Verdicts of detectors in the history.", labels=["verdict"]
        )
        for verdict, count in self._counts().items():
            verdicts.add_metric([verdict], count)
        yield verdicts
        yield CounterMetricFamily(
            "flawtrace_refused", "Images refused because too many waited.", value=station.inspector.refused
        )
        yield GaugeMetricFamily("flawtrace_waiting", "Images that wait.", value=station.inspector.waiting)
        yield GaugeMetricFamily("flawtrace_jobs_running", "Trainings and other jobs that run.", value=running)
        version = 0 if detector is None else detector.id
        yield GaugeMetricFamily(
            "flawtrace_detector_version", "Version of the detector at work; 0 where none is.", value=version
        )
        if last is not None:
            age = (now() - last).total_seconds()
            yield GaugeMetricFamily(
                "flawtrace_last_verdict_age_seconds", "Since the last verdict.", value=age
            )

    def _counts(self) -> dict[str, int]:
        """Verdicts by kind; only lines that are new since the last call are read."""
        with self._lock, self._station.workspace.database.reading() as session:
            end = session.scalar(select(func.max(EntryRow.id))) or 0
            new = (
                select(EntryRow.verdict, func.count())
                .where(EntryRow.id > self._counted, EntryRow.id <= end, EntryRow.who == "")
                .group_by(EntryRow.verdict)
            )
            for verdict, count in session.execute(new):
                self._verdicts[verdict] += count
            self._counted = end
            return {verdict: self._verdicts[verdict] for verdict in VERDICTS}


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request) -> Response:
    """Verdicts by kind, seconds per image, what waits and what was refused, for Prometheus."""
    measured: Metrics = request.app.state.metrics
    return Response(measured.text(), media_type=CONTENT_TYPE)

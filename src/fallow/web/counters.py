"""What Prometheus is told. Labels never hold an id: the number of time series stays small for ever."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily

from fallow.control.standing import Gauge
from fallow.web.metrics.lifecycles import Lifecycles

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
_KINDS: Final = (  # the beginning of a route -> what its bytes are
    ("/bytes/", "artifact"),
    ("/api/inputs/", "upload"),
    ("/api/jobs/{job_id}/output/", "download"),
    ("/api/jobs/{job_id}/results", "download"),
    ("/api/jobs/{job_id}/attempts/{attempt_id}/log", "download"),
    ("/v1/files/{file_id}/content", "download"),
    ("/v1/files", "upload"),
    ("/v1/uploads", "upload"),
    ("/v2/", "image"),
    ("/api/work", "work"),
)


class Counters:
    """Counters of one process. gauges: looked up at each scrape. lifecycles: what the store tells of its moves."""

    def __init__(self, gauges: Callable[[], Iterable[Gauge]], lifecycles: Lifecycles | None = None) -> None:
        self._gauges = gauges
        self._lifecycles = lifecycles or Lifecycles()
        self.registry = self._registry = CollectorRegistry()
        self._requests = self._counter("fallow_requests", "Requests answered.", ("route", "method", "status"))
        self._seconds = Histogram(
            "fallow_request_seconds", "Time to answer.", ("route",), registry=self._registry, buckets=_SECONDS
        )
        self._bytes = self._counter("fallow_bytes", "Bytes of bodies at this door.", ("direction", "kind"))
        self._jobs = self._counter("fallow_jobs_submitted", "Jobs taken at this door.", ())
        self._leased = self._counter("fallow_attempts_leased", "Attempts given to workers at this door.", ())
        self._reported = self._counter("fallow_attempts_reported", "Reports of attempts.", ("verdict",))
        self._steps = self._counter("fallow_role_steps", "Steps of the roles.", ("role", "outcome"))
        self._registry.register(self._lifecycles)
        self._registry.register(_Looked(gauges))

    def _counter(self, name: str, says: str, labels: Iterable[str]) -> Counter:
        return Counter(name, says, tuple(labels), registry=self._registry)

    def request(self, route: str, method: str, status: int, seconds: float, taken: int = 0, given: int = 0) -> None:
        """status 0: the client left before there was one. taken, given: bytes of the bodies."""
        self._requests.labels(route, method if method in _METHODS else "other", f"{status // 100}xx").inc()
        self._seconds.labels(route).observe(seconds)
        kind = _kind(route)
        if taken:
            self._bytes.labels("in", kind).inc(taken)
        if given:
            self._bytes.labels("out", kind).inc(given)

    def submitted(self) -> None:
        self._jobs.inc()

    def leased(self, count: int) -> None:
        self._leased.inc(count)

    def extended(self, count: int) -> None:
        """Leases that a heartbeat made longer."""
        self._lifecycles.extended(count)

    def reported(self, verdict: str, count: int = 1) -> None:
        self._reported.labels(verdict).inc(count)

    def inline(self, size_bytes: int) -> None:
        """Artifacts that came inside of reports; /api/work counts them once more as parts of its bodies."""
        self._bytes.labels("in", "inline").inc(size_bytes)

    def stepped(self, role: str, outcome: str) -> None:
        """outcome: "worked", "idle", "refused" or "broken"."""
        self._steps.labels(role, outcome).inc()

    def exposition(self) -> bytes:
        """Everything, in Prometheus's text format 0.0.4."""
        return generate_latest(self._registry)


class _Looked:
    """Gauges as they are at the scrape; a state that nothing is in any more is not told."""

    def __init__(self, gauges: Callable[[], Iterable[Gauge]]) -> None:
        self._gauges = gauges

    def describe(self) -> list[Metric]:
        """Nothing: a registry must not look at the rows only to learn our names."""
        return []

    def collect(self) -> Iterator[Metric]:
        for gauge in self._gauges():
            family = GaugeMetricFamily(gauge.name, gauge.says, labels=gauge.labels)
            for labels, value in gauge.values.items():
                family.add_metric(labels, value)
            yield family


@lru_cache(maxsize=1024)
def _kind(route: str) -> str:
    return next((kind for begins, kind in _KINDS if route.startswith(begins)), "call")

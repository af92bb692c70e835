"""What Prometheus is told. Labels never hold an id: the number of time series stays small for ever."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)


class Counters:
    """Counters of one process. gauges: looked up at each scrape, {"chunks": {"open": 3, ...}, ...}."""

    def __init__(self, gauges: Callable[[], Mapping[str, Mapping[str, int]]]) -> None:
        self._gauges = gauges
        self._registry = CollectorRegistry()
        self._requests = self._counter("fallow_requests", "Requests answered.", ("route", "method", "status"))
        self._seconds = Histogram(
            "fallow_request_seconds", "Time to answer.", ("route",), registry=self._registry, buckets=_SECONDS
        )
        self._jobs = self._counter("fallow_jobs_submitted", "Jobs taken at this door.", ())
        self._leased = self._counter("fallow_attempts_leased", "Attempts given to workers at this door.", ())
        self._reported = self._counter("fallow_attempts_reported", "Reports of attempts.", ("verdict",))
        self._steps = self._counter("fallow_role_steps", "Steps of the roles.", ("role", "outcome"))
        self._rows = Gauge(
            "fallow_rows", "Live jobs, and their chunks and attempts.", ("what", "state"), registry=self._registry
        )

    def _counter(self, name: str, says: str, labels: Iterable[str]) -> Counter:
        return Counter(name, says, tuple(labels), registry=self._registry)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """status 0: the client left before there was one."""
        self._requests.labels(route, method if method in _METHODS else "other", f"{status // 100}xx").inc()
        self._seconds.labels(route).observe(seconds)

    def submitted(self) -> None:
        self._jobs.inc()

    def leased(self, count: int) -> None:
        self._leased.inc(count)

    def reported(self, verdict: str, count: int = 1) -> None:
        self._reported.labels(verdict).inc(count)

    def stepped(self, role: str, outcome: str) -> None:
        """outcome: "worked", "idle", "refused" or "broken"."""
        self._steps.labels(role, outcome).inc()

    def exposition(self) -> bytes:
        """Everything, in Prometheus's text format 0.0.4."""
        for what, states in self._gauges().items():
            for state, count in states.items():
                self._rows.labels(what, state).set(count)
        return generate_latest(self._registry)

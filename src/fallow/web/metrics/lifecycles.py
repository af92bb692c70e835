"""How jobs, chunks and attempts fare: counted from the chapters of the story, in the process that wrote them.

Of a fleet of processes each counts its own moves, so sums and histograms over all of them are right. Plain numbers
behind one lock, filled a chapter at a time: what a chunk costs here is a hundredth of what it costs in all.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

from fallow.core.chapter import Chapter
from fallow.core.job import JobSpec
from fallow.core.words import JobKey

SECONDS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)
"""Buckets' upper ends: from a chunk that is nearly nothing to a job that takes a day."""

_ENDS: Final = tuple(int(each * 1e6) for each in SECONDS)
_JOB, _CHUNK, _ATTEMPT = "job", "chunk", "attempt"
_STEPS: Final = {  # (what, its state before, event) -> the step that has just ended
    (_CHUNK, "", "plan"): "first_chunk",  # only a job's first one has an age
    (_ATTEMPT, "queued", "lease"): "queue",
    (_ATTEMPT, "leased", "report"): "run",
    (_ATTEMPT, "reported", "agree"): "verify",
    (_ATTEMPT, "reported", "disagree"): "verify",
    (_JOB, "merging", "complete"): "job",
}
_VERDICTS: Final = {"agree": "valid", "disagree": "invalid"}
_LEASES: Final = {"lease": "granted", "expire": "expired"}


class _Histogram:
    """counts: by bucket, the last one is for all that took longer."""

    def __init__(self) -> None:
        self.counts = [0] * (len(_ENDS) + 1)
        self.micros = 0

    def add(self, ages: Iterable[int]) -> None:
        """Microseconds; those that are not known are left out."""
        for age in ages:
            if age >= 0:
                self.counts[bisect_left(_ENDS, age)] += 1
                self.micros += age

    def family(self) -> tuple[list[tuple[str, float]], float]:
        """(upper end, how many took up to that), and the sum in seconds, as Prometheus has them."""
        ends = [*map(str, map(float, SECONDS)), "+Inf"]
        return list(zip(ends, accumulate(map(float, self.counts)), strict=True)), self.micros / 1e6


class Lifecycles:
    """A witness, and a collector of a registry."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._moves: Counter[tuple[str, str, str]] = Counter()
        self._verdicts: Counter[tuple[str, str]] = Counter()
        self._failures: Counter[tuple[str, str]] = Counter()
        self._leases: Counter[tuple[str]] = Counter({("granted",): 0, ("extended",): 0, ("expired",): 0})
        self._steps = {step: _Histogram() for step in _STEPS.values()}

    def heard(self, chapter: Chapter) -> None:
        """Counts its moves."""
        kinds: dict[tuple[JobKey, str, str, str, str], list[int]] = {}
        for row, age, word in zip(chapter.rows, chapter.ages, chapter.words, strict=True):
            what = _JOB if row[2] is None else _CHUNK if row[3] is None else _ATTEMPT
            key = (row[1], what, row[4], row[6], word)
            ages = kinds.get(key)
            if ages is None:
                kinds[key] = [age]
            else:
                ages.append(age)
        with self._lock:
            for (job_key, what, before, event, word), ages in kinds.items():
                self._count(what, before, event, word, len(ages), chapter, job_key)
                step = _STEPS.get((what, before, event))
                if step is not None:
                    self._steps[step].add(ages)

    def _count(
        self, what: str, before: str, event: str, word: str, count: int, chapter: Chapter, job_key: JobKey
    ) -> None:
        spec = chapter.spec_of(job_key)
        contract = _contract(spec)
        self._moves[what, event, contract] += count
        if what != _ATTEMPT:
            return
        if event in _LEASES:
            self._leases[(_LEASES[event],)] += count
        elif event in _VERDICTS and before == "reported":
            method = spec.verify.method.value if spec else ""
            self._verdicts[word or _VERDICTS[event], method] += count
        elif event == "fail":
            self._failures[word, contract] += count

    def extended(self, count: int) -> None:
        """So many leases were extended by a heartbeat: no state changes, so the story has no row for it."""
        with self._lock:
            self._leases[("extended",)] += count

    def collect(self) -> Iterator[Metric]:
        """Everything, for a registry."""
        with self._lock:
            counts: list[tuple[str, str, tuple[str, ...], Counter[tuple[str, ...]]]] = [
                ("fallow_moves", "Moves between states.", ("what", "event", "contract"), Counter(self._moves)),
                ("fallow_leases", "Leases of attempts.", ("outcome",), Counter(self._leases)),
                ("fallow_verifications", "Answers judged.", ("outcome", "method"), Counter(self._verdicts)),
                ("fallow_attempt_failures", "Failures.", ("failure_class", "contract"), Counter(self._failures)),
            ]
            steps = {step: histogram.family() for step, histogram in self._steps.items()}
        for name, says, labels, values in counts:
            yield _counter(name, says, labels, values.items())
        family = HistogramMetricFamily("fallow_lifecycle_seconds", "How long each step took.", labels=("step",))
        for step, (buckets, total) in steps.items():
            family.add_metric((step,), buckets, total)
        yield family


def _counter(
    name: str, says: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], int]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, says, labels=labels)
    for each, count in values:
        family.add_metric(each, count)
    return family


def _contract(spec: JobSpec | None) -> str:
    return spec.contract.value if spec else ""

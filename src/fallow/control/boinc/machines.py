"""Volunteers' machines as people see them on a worker's page, and the label that an operator gives one."""

from dataclasses import dataclass, replace

import msgspec

from fallow.clock import Clock
from fallow.control.boinc.standings import average_now
from fallow.control.callers import Caller
from fallow.core.labels import Labelled, label_of, labelled
from fallow.core.refusals import Code, Refusal
from fallow.core.reputation import TRUSTED_AFTER, trusted
from fallow.core.volunteers import HostFacts
from fallow.core.words import Label, Scope, WorkerId
from fallow.store.port import HostRow, ReputationRow, Store

_FACTS = msgspec.json.Decoder(HostFacts)


@dataclass(frozen=True, slots=True)
class Trust:
    """How it has done with one image. is_trusted: one answer of it is enough, but for spot checks. missing: good
    answers in a row until then."""

    image: str
    valid: int
    invalid: int
    errored: int
    seconds_per_item: float
    is_trusted: bool
    missing: int


@dataclass(frozen=True, slots=True)
class Machine:
    """labelled: what counts, and who said it, since host.label_at. average: cobblestones a day, as of now."""

    host: HostRow
    facts: HostFacts
    labelled: Labelled
    average: float
    trust: tuple[Trust, ...]

    @property
    def client(self) -> str:
        """The client's version as people know it: 72005 is "7.20.5"; "" when it did not say."""
        major, rest = divmod(self.facts.client_version, 10_000)
        minor, release = divmod(rest, 100)
        return f"{major}.{minor}.{release}" if self.facts.client_version else ""


class Machines:
    """What is shown of a worker that is a BOINC client. Whether its page may be seen at all, its page knows."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def of_worker(self, worker_id: str) -> Machine | None:
        """None for a worker that is no BOINC client."""
        with self._store.reading() as tx:
            host = tx.host_of_worker(WorkerId(worker_id))
            if host is None:
                return None
            records = tx.reputations(WorkerId(worker_id))
        return Machine(
            host=host,
            facts=_FACTS.decode(host.facts),
            labelled=labelled(host.label_said, host.venue, host.label_set),
            average=average_now(host.earned, self._clock.now()),
            trust=tuple(map(_trust, records)),
        )

    def set_label(self, caller: Caller, worker_id: str, label: Label | None) -> Labelled:
        """What counts now. None: an operator says nothing any more. Raises Refusal FORBIDDEN or NOT_FOUND."""
        caller.needs(Scope.OPERATE)
        now = self._clock.now()
        with self._store.transaction() as tx:
            host = tx.host_of_worker(WorkerId(worker_id))
            worker = tx.worker(host.worker_id) if host is not None else None
            if host is None or worker is None:
                raise Refusal(
                    Code.NOT_FOUND, f"There is no BOINC client {worker_id[:60]!r}.", "See the list of workers."
                )
            said = label.value if label else None
            tx.set_host_label(host.host_id, said, now)
            tx.save_worker(replace(worker, label=label_of(host.label_said, host.venue, said)))
        return labelled(host.label_said, host.venue, said)


def _trust(row: ReputationRow) -> Trust:
    return Trust(
        image=row.image,
        valid=row.valid,
        invalid=row.invalid,
        errored=row.errored,
        seconds_per_item=row.seconds_per_item,
        is_trusted=trusted(row.valid_in_row),
        missing=max(0, TRUSTED_AFTER - row.valid_in_row),
    )

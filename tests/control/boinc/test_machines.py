"""What a worker's page shows of a BOINC client, and the label that an operator gives it, on both databases."""

from dataclasses import replace

import msgspec
import pytest

from fallow.clock import ManualClock
from fallow.control.boinc.machines import Machines
from fallow.control.callers import Caller
from fallow.core.labels import Labelled, LabelSource
from fallow.core.refusals import Code, Refusal
from fallow.core.volunteers import HostFacts
from fallow.core.words import Label, Scope, WorkerId
from fallow.store.port import HostRow, ReputationRow, Store, WorkerRow
from tests.store.yard import SECOND, T0

IMAGE = "sha256:" + "ab" * 32
OPERATOR = Caller("", "boss", frozenset({Scope.OPERATE}), "Boss", "s-1")
SUBMITTER = Caller("", "ada", frozenset({Scope.SUBMIT}), "Ada", "s-2")


def add(store: Store, label_said: str | None = None, venue: str = "") -> HostRow:
    facts = msgspec.json.encode(HostFacts(os="Linux Debian 12", client_version=72005, engine="podman")).decode()
    with store.transaction() as tx:
        tx.add_account("ada", "Ada", T0)
        row = HostRow(0, WorkerId(""), "ada", 1, "c" * 32, "", 1, T0, T0, facts, venue=venue, label_said=label_said)
        host = tx.add_host(row)
        tx.save_worker(WorkerRow(host.worker_id, "ada", "desk", None, b"", "{}", "boinc", T0, T0))
    return host


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0 + 5 * SECOND)


@pytest.fixture
def machines(store: Store, clock: ManualClock) -> Machines:
    return Machines(store, clock)


def test_a_boinc_client_is_shown_with_version_and_trust(store: Store, machines: Machines) -> None:
    host = add(store)
    with store.transaction() as tx:
        tx.save_reputations(
            [
                ReputationRow(host.worker_id, IMAGE, 100, valid=12, valid_in_row=10),
                ReputationRow(host.worker_id, "process:1", 100, valid=3, invalid=1, valid_in_row=2),
            ]
        )
    shown = machines.of_worker(host.worker_id)
    assert shown is not None
    assert (shown.client, shown.facts.os, shown.facts.engine) == ("7.20.5", "Linux Debian 12", "podman")
    assert [(each.image, each.is_trusted, each.missing) for each in shown.trust] == [
        ("process:1", False, 8),
        (IMAGE, True, 0),
    ]
    assert machines.of_worker("w-1") is machines.of_worker("b-99.1") is None


def test_an_unknown_version_is_not_said(store: Store, machines: Machines) -> None:
    host = add(store)
    with store.transaction() as tx:
        tx.save_host(replace(host, facts=msgspec.json.encode(HostFacts()).decode()))
    shown = machines.of_worker(host.worker_id)
    assert shown is not None
    assert shown.client == ""


def test_an_operator_labels_a_machine_that_says_nothing(store: Store, machines: Machines, clock: ManualClock) -> None:
    host = add(store)
    assert machines.set_label(OPERATOR, host.worker_id, Label.CLOUD) == Labelled(Label.CLOUD, LabelSource.OPERATOR)
    shown = machines.of_worker(host.worker_id)
    assert shown is not None
    assert (shown.labelled.source, shown.host.label_set, shown.host.label_at) == (
        LabelSource.OPERATOR,
        "cloud",
        clock.now(),
    )
    with store.reading() as tx:
        worker = tx.worker(host.worker_id)
    assert worker is not None
    assert worker.label == "cloud"
    assert machines.set_label(OPERATOR, host.worker_id, None) == Labelled(None, None)


@pytest.mark.parametrize(
    ("said", "venue", "counts"),
    [
        ("edge", "", Labelled(Label.EDGE, LabelSource.CLIENT)),
        (None, "work", Labelled(Label.ON_PREM, LabelSource.VENUE)),
    ],
)
def test_what_the_machine_says_counts_more_than_the_operator(
    store: Store, machines: Machines, said: str | None, venue: str, counts: Labelled
) -> None:
    host = add(store, said, venue)
    assert machines.set_label(OPERATOR, host.worker_id, Label.CLOUD) == counts
    with store.reading() as tx:
        worker = tx.worker(host.worker_id)
    assert worker is not None
    assert worker.label == counts.label


def test_only_operators_label_and_only_boinc_clients(store: Store, machines: Machines) -> None:
    host = add(store)
    for caller, worker_id, code in (
        (SUBMITTER, host.worker_id, Code.FORBIDDEN),
        (SUBMITTER, "b-99.1", Code.FORBIDDEN),
        (OPERATOR, "b-99.1", Code.NOT_FOUND),
        (OPERATOR, "w-1", Code.NOT_FOUND),
    ):
        with pytest.raises(Refusal) as refused:
            machines.set_label(caller, worker_id, Label.EDGE)
        assert refused.value.code is code

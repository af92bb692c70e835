"""Workers that corrupt, lie, or claim what is not theirs, against honest ones in real containers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fallow.protocols.rest.work import Lease
from tests.e2e.hand_worker import HandWorker, lies
from tests.e2e.house import House, numbered, wait_until
from tests.e2e.test_fleet import download, submit

pytestmark = pytest.mark.containers


def test_a_worker_that_corrupts_is_named_and_the_output_is_right(
    tmp_path: Path, busybox: str, house: Callable[..., House]
) -> None:
    items = tmp_path / "items.jsonl"
    items.write_bytes(b"".join(numbered(60)))
    fleet = house()
    crook = HandWorker(fleet.url, fleet.key, "crook")
    submit(fleet, "corrupted", busybox, items, command=["cat"])
    lease = first_lease(crook)
    refused = crook.ask(0, crook.report(lease, crook.items(lease), corrupt=True)).acks[0]
    assert (refused.verdict, refused.code) == ("refused", "receipt_invalid")
    fleet.worker("honest", "--slots", "1")
    assert fleet.wait_over("corrupted")["state"] == "completed"
    assert (download(fleet, "corrupted", tmp_path / "out") / "output.jsonl").read_bytes() == items.read_bytes()
    told = fleet.story("corrupted")
    assert crook.worker_id in told
    assert "SHA-256" in told


def test_a_liar_is_outvoted_and_named(tmp_path: Path, busybox: str, house: Callable[..., House]) -> None:
    items = tmp_path / "items.jsonl"
    items.write_bytes(b"".join(numbered(50)))
    fleet = house()
    liar = HandWorker(fleet.url, fleet.key, "liar")
    submit(fleet, "voted", busybox, items, command=["cat"], verify="quorum:2", num_chunks=2, chunk_items=None)
    leases = wait_until("leases", lambda: liar.ask(2).leases)
    acks = liar.ask(0, *[liar.report(lease, lies(liar.items(lease))) for lease in leases]).acks
    assert {ack.verdict for ack in acks} == {"accepted"}
    for name in ("honest-1", "honest-2"):
        fleet.worker(name, "--slots", "1")
    assert fleet.wait_over("voted")["state"] == "completed"
    assert (download(fleet, "voted", tmp_path / "out") / "output.jsonl").read_bytes() == items.read_bytes()
    told = fleet.story("voted")
    assert liar.worker_id in told
    assert "differs" in told


def test_a_worker_reports_only_what_it_holds(tmp_path: Path, busybox: str, house: Callable[..., House]) -> None:
    items = tmp_path / "items.jsonl"
    items.write_bytes(b"".join(numbered(50)))
    fleet = house()
    holder, other = (HandWorker(fleet.url, fleet.key, name) for name in ("holder", "other"))
    submit(fleet, "held", busybox, items, command=["cat"])
    lease = first_lease(holder)
    stolen = other.ask(0, other.report(lease, other.items(lease))).acks[0]
    assert (stolen.verdict, stolen.code) == ("refused", "attempt_not_held")
    forged = other.report(lease, other.items(lease))
    refused = holder.ask(0, forged).acks[0]
    assert (refused.verdict, refused.code) == ("refused", "receipt_invalid")
    unknown = holder.ask(0, holder.report(_with(lease, attempt_id=999_999), holder.items(lease))).acks[0]
    assert (unknown.verdict, unknown.code) == ("refused", "attempt_not_held")


def test_a_worker_whose_clock_is_an_hour_off_is_told_and_works(
    tmp_path: Path, busybox: str, house: Callable[..., House]
) -> None:
    items = tmp_path / "items.jsonl"
    items.write_bytes(b"".join(numbered(20)))
    fleet = house()
    wrong = HandWorker(fleet.url, fleet.key, "wrong-clock", clock_off_seconds=3600)
    assert "clock" in wrong.welcome.message
    submit(fleet, "timely", busybox, items, command=["cat"])
    lease = first_lease(wrong)
    assert wrong.ask(0, wrong.report(lease, wrong.items(lease))).acks[0].verdict == "accepted"
    assert fleet.wait_over("timely")["state"] == "completed"


def first_lease(worker: HandWorker) -> Lease:
    return wait_until("a lease", lambda: worker.ask(1).leases)[0]


def _with(lease: Lease, **changes: object) -> Lease:
    import msgspec

    return msgspec.structs.replace(lease, **changes)

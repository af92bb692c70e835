"""The agent against a real HTTP server, with the process engine: lease, run, report, heartbeat, leave, come back."""

import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fallow.core.merkle import root_of
from fallow.core.receipt import unseal

ECHO = (sys.executable, "-uc", "import sys\nfor line in sys.stdin: sys.stdout.write(line)")


def lines(count, start=0):
    return b"".join(b'{"n":%d}\n' % n for n in range(start, start + count))


SLOW_ECHO = (sys.executable, "-uc", "import sys,time\nfor l in sys.stdin:\n time.sleep(0.5); sys.stdout.write(l)")


def under_way(server):
    return any(held.items_done for ask in server.asks for held in ask.holding)


def test_a_chunk_comes_back_with_a_receipt_that_anyone_can_check(server, agent):
    lease = server.lease(lines(5), command=ECHO, item_start=70)
    agent()
    report = server.report_of(lease)
    assert report.failure is None
    assert report.inline == lines(5)
    key = Ed25519PublicKey.from_public_bytes(server.hellos[0].public_key)

    def check(message, signature):
        key.verify(signature, message)
        return True

    receipt = unseal(report.envelope, check)
    assert (receipt.item_start, receipt.item_end, receipt.item_errors) == (70, 74, 0)
    assert receipt.items_root == root_of(lines(5).splitlines())
    assert receipt.artifact_uri == lease.artifact_uri
    key.verify(server.hellos[0].signature, b"fallow-hello:" + server.hellos[0].session.encode())


def test_consecutive_chunks_of_a_job_share_one_program(server, agent):
    say_pid = "import sys,os\nfor line in sys.stdin: print(os.getpid(), flush=True)"
    leases = [server.lease(lines(2), command=(sys.executable, "-c", say_pid)) for _ in range(6)]
    agent()
    for lease in leases:
        server.report_of(lease)
    assert len({server.artifact(lease).split()[0] for lease in leases}) == 1


def test_reuse_never_gives_each_chunk_its_own_program(server, agent):
    say_pid = "import sys,os\nfor line in sys.stdin: print(os.getpid(), flush=True)"
    leases = [server.lease(lines(2), command=(sys.executable, "-c", say_pid), reuse="never") for _ in range(3)]
    agent()
    for lease in leases:
        server.report_of(lease)
    assert len({server.artifact(lease).split()[0] for lease in leases}) == 3


def test_a_large_artifact_is_uploaded_and_a_log_too(server, agent):
    server.inline_bytes_max = 10
    command = (
        sys.executable,
        "-uc",
        "import sys\nfor l in sys.stdin: sys.stdout.write(l)\nprint('hi', file=sys.stderr)",
    )
    lease = server.lease(lines(50), command=command, reuse="never")
    agent()
    report = server.report_of(lease)
    assert report.inline is None
    assert server.blobs[f"/bytes/up-{lease.attempt_id}"] == lines(50)
    assert server.log(lease) == b"hi\n"
    assert report.log_size_bytes == 3


def test_a_server_that_goes_away_gets_the_report_late(server, agent):
    lease = server.lease(lines(3), command=SLOW_ECHO)
    worker = agent()
    server.until(lambda: under_way(server))
    server.down()
    outbox = worker.options.data_dir / "outbox"
    server.until(lambda: any(outbox.glob("*/entry.json")))
    server.up()
    assert server.report_of(lease).inline == lines(3)
    server.until(lambda: not any(outbox.iterdir()))


def test_an_undelivered_report_survives_the_agent(server, agent):
    lease = server.lease(lines(3), command=SLOW_ECHO)
    worker = agent()
    server.until(lambda: under_way(server))
    server.down()
    outbox = worker.options.data_dir / "outbox"
    server.until(lambda: any(outbox.glob("*/entry.json")))
    worker.leave(at_once=True)
    server.up()
    agent()
    assert server.report_of(lease).inline == lines(3)
    assert server.hellos[0].session != server.hellos[1].session
    assert server.hellos[0].public_key == server.hellos[1].public_key


def test_a_worker_that_the_server_forgot_says_hello_again(server, agent):
    agent()
    server.until(lambda: server.asks)
    server.forget_workers = True
    server.until(lambda: len(server.hellos) == 2)
    lease = server.lease(lines(1), command=ECHO)
    assert server.report_of(lease).failure is None


def test_a_wrong_token_ends_the_agent_with_a_remedy(server, agent):
    server.status["/api/work"] = 401
    worker = agent()
    refusal = worker.join()
    assert refusal.code == "unauthenticated"
    assert refusal.remedy


def test_the_server_may_stop_an_attempt(server, agent):
    hang = server.lease(lines(1), command=("sleep", "1000"))
    server.stop.add(hang.attempt_id)
    agent()
    after = server.lease(lines(1), command=ECHO)
    assert server.report_of(after).failure is None
    assert hang.attempt_id not in server.reports


def test_drain_finishes_what_runs(server, agent):
    lease = server.lease(lines(3), command=SLOW_ECHO)
    worker = agent()
    server.until(lambda: under_way(server))
    worker.leave()
    assert worker.result == 0
    assert server.report_of(lease).inline == lines(3)
    assert server.asks[-1].leaving


def test_abort_reports_the_attempt_as_aborted(server, agent):
    lease = server.lease(lines(1), command=("sleep", "1000"))
    worker = agent()
    server.until(lambda: lease.attempt_id in server.held)
    worker.leave(at_once=True)
    assert server.report_of(lease).failure.failure_class == "aborted"


def test_heartbeats_say_how_far_an_attempt_is(server, agent):
    command = (sys.executable, "-uc", "import sys,time\nsys.stdout.write(sys.stdin.readline()); time.sleep(1000)")
    lease = server.lease(lines(2), command=command)
    agent()
    server.until(lambda: any(h.items_done == 1 for ask in server.asks for h in ask.holding))
    assert lease.attempt_id in server.held


def test_an_expired_upload_url_is_nobodys_fault(server, agent):
    server.inline_bytes_max = 0
    lease = server.lease(lines(1), command=ECHO)
    server.status[f"/bytes/up-{lease.attempt_id}"] = 410
    agent()
    failure = server.report_of(lease).failure
    assert (failure.failure_class, failure.code) == ("ours", "url_expired")


def test_two_slots_work_at_once(server, agent):
    wait = "import sys,time\nfor l in sys.stdin:\n time.sleep(1); sys.stdout.write(l)"
    leases = [server.lease(lines(1), command=(sys.executable, "-uc", wait)) for _ in range(2)]
    agent(slots=2)
    server.until(lambda: any(len(ask.holding) == 2 for ask in server.asks))
    for lease in leases:
        assert server.report_of(lease).failure is None


def test_slots_are_empty_after_the_work(server, agent):
    lease = server.lease(lines(2), command=ECHO)
    worker = agent()
    server.report_of(lease)
    worker.leave()
    assert not list((worker.options.data_dir / "slots").rglob("*"))
    assert json.loads(server.reports[lease.attempt_id].envelope)["payloadType"]

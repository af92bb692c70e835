"""Tasks as a BOINC client runs them, with real containers."""

import json
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fallow.core.receipt import unseal
from fallow.protocols.rest import work as wire
from tests.worker.test_direct import SEED
from tests.worker.test_http_containers import chat
from tests.worker.test_stream import lines

pytestmark = pytest.mark.containers

ECHO = 'while read a; do echo "$a"; done'


def sh(server, image, script, items=3, **fields):
    return server.lease(lines(items), image=image, command=("/bin/sh", "-c", script), **fields)


def signed_by(public_key):
    def check(message, signature):
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
        return True

    return check


def test_two_attempts_are_answered_in_one_file(tree, server, image):
    leases = [sh(server, image, ECHO, 3), sh(server, image, ECHO, 2)]
    tree.task(leases)
    assert tree.run() == 0
    assert tree.finished
    answer = tree.answer()
    assert (answer.answer_version, answer.worker_id) == (1, "b-17.1")
    assert answer.engine.startswith("podman ")
    assert [each.attempt_id for each in answer.answers] == [each.attempt_id for each in leases]
    for lease, report in zip(leases, answer.answers, strict=True):
        assert report.failure is None
        assert report.inline == lines(lease.item_count)
        receipt = unseal(report.envelope, signed_by(answer.public_key))
        assert (receipt.attempt_id, receipt.worker_id) == (lease.attempt_id, "b-17.1")
        assert (receipt.item_count, receipt.artifact_uri) == (lease.item_count, lease.artifact_uri)
    assert not (tree.slot / "fallow").exists()
    assert (tree.root / "fallow-worker.key").stat().st_mode & 0o777 == 0o600
    assert tree.progress["fraction_done"] == 1.0


def test_a_bad_item_is_told_with_the_finished_head(tree, server, image):
    lease = sh(server, image, 'read a; echo "$a"; read a; echo oops >&2; exit 7')
    tree.task([lease])
    assert tree.run() == 0
    (report,) = tree.answer().answers
    assert (report.failure.failure_class, report.failure.code) == ("submitter", "exit_code")
    assert (report.failure.bad_item, report.failure.exit_code, report.failure.items_done) == (1, 7, 1)
    assert report.inline == lines(1)
    assert server.log(lease) == b"oops\n"
    assert report.log_size_bytes == 5


def test_what_is_too_large_for_the_answer_is_put(tree, server, image):
    leases = [sh(server, image, ECHO, 20), sh(server, image, ECHO, 2)]
    tree.task(leases, inline_bytes_max=len(lines(10)))
    assert tree.run() == 0
    large, small = tree.answer().answers
    assert large.inline is None
    assert server.blobs[f"/bytes/up-{large.attempt_id}"] == lines(20)
    assert small.inline == lines(2)
    assert json.loads(large.envelope)["payloadType"]


def test_files_in_and_out(tree, server, image):
    tree.task([sh(server, image, "sed 's/n/m/' /in/items.jsonl > /out/output.jsonl", contract="files")])
    assert tree.run() == 0
    assert tree.answer().answers[0].inline == lines(3).replace(b"n", b"m")


def test_the_seeds_own_way(tree, server, image):
    """The image fetches and pushes by itself; the answer holds only the receipt."""
    where = {"input_url": server.put("direct", lines(5)), "output_url": f"{server.url}/bytes/out"}
    tree.task([sh(server, image, SEED, 5, contract="direct", **where)])
    assert tree.run() == 0
    (report,) = tree.answer().answers
    assert (report.failure, report.inline) == (None, None)
    assert unseal(report.envelope, signed_by(tree.answer().public_key)).artifact_uri.endswith("/chunk.jsonl")
    assert server.blobs["/bytes/out/chunk.jsonl"] == lines(5).replace(b"n", b"m")


def test_one_model_server_for_the_whole_task(tree, server, chat_image):
    """The way into the container's network works from inside the single file, too."""
    pull = ["podman", "pull", "-q", f"oci:{chat_image.layout.name}"]
    subprocess.run(pull, cwd=chat_image.layout.parent, check=True, capture_output=True)
    image = wire.ImageRef("chat", "", chat_image.image_id, "engine")
    items = b"".join(json.dumps(chat(n)).encode() + b"\n" for n in range(5))
    leases = [server.lease(items, image=image, contract="http", http=wire.HttpMessage()) for _ in range(2)]
    tree.task(leases)
    assert tree.run() == 0
    first, second = tree.answer().answers
    assert first.failure is None
    assert first.inline == second.inline
    assert [b"ready" in server.log(lease) for lease in leases] == [True, False]


def test_what_the_client_allows_is_the_most(tree, server, image):
    """Half of the machine's memory, as its owner told the client."""
    tree.slot = tree.new_slot(7, m_nbytes="104857600.0", ram_max_used_idle_pct="50.0")
    look = "cd /sys/fs/cgroup; read a; cat memory/memory.limit_in_bytes 2>/dev/null || cat memory.max"
    tree.task([sh(server, image, look, 1)])
    assert tree.run() == 0
    assert tree.answer().answers[0].inline == b"52428800\n"

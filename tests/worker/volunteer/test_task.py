"""Tasks as a BOINC client runs them, with real containers."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fallow.core.receipt import unseal
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

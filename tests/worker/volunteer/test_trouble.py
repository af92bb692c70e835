"""What goes wrong on strangers' machines, and what the volunteer and the server are told."""

import json
import os
import shutil
import sys

import msgspec
import pytest

from fallow.protocols.rest import work as wire
from tests.worker.test_containers import fresh_mark, serve_layout  # noqa: F401 - a fixture among them
from tests.worker.test_stream import lines
from tests.worker.volunteer.test_task import ECHO, sh

pytestmark = pytest.mark.containers


def bare_path(tree, *programs):
    """A PATH with these programs only."""
    directory = tree.root / "bin"
    directory.mkdir(exist_ok=True)
    for each in programs:
        found = sys.executable if each.startswith("python") else shutil.which(each)
        assert found is not None
        (directory / each).symlink_to(os.path.realpath(found))
    tree.environment["PATH"] = str(directory)


def test_no_container_engine(tree, server, image):
    bare_path(tree, "python3.11")
    tree.task([sh(server, image, ECHO)])
    assert tree.run() == 1
    assert not tree.finished
    assert (tree.failure()["failure_class"], tree.failure()["code"]) == ("worker", "engine_missing")
    assert "apt-get install podman" in tree.failure()["message"]
    assert {"podman is not installed.", "docker is not installed."} <= {
        each.partition(" Install")[0] for each in tree.stderr().splitlines()
    }


def test_no_python(tree, server, image):
    bare_path(tree, "true")
    tree.task([sh(server, image, ECHO)])
    assert tree.run() == 0
    assert not tree.finished
    seconds, reason, notice = tree.later()
    assert int(seconds) == 3600
    assert "Python 3.11" in reason
    assert notice == "notice"
    assert "apt-get install python3" in tree.stderr()


def test_the_server_is_away_and_comes_back(tree, server, image):
    tree.task([sh(server, image, ECHO)])
    server.down()
    waits = []
    for _ in range(2):
        assert tree.run() == 0
        assert not tree.finished
        waits.append(int(tree.later()[0]))
    assert waits == [60, 120]
    server.up()
    assert tree.run() == 0
    assert tree.finished
    assert tree.answer().answers[0].inline == lines(3)


def test_the_store_is_away_when_the_work_is_done(tree, server, image):
    lease = sh(server, image, ECHO, 20)
    tree.task([lease], inline_bytes_max=10)
    server.status[f"/bytes/up-{lease.attempt_id}"] = 503
    assert tree.run() == 0
    assert int(tree.later()[0]) == 60
    assert tree.kept() == [str(lease.attempt_id)]
    server.status.clear()
    assert tree.run() == 0
    assert server.blobs[f"/bytes/up-{lease.attempt_id}"] == lines(20)
    assert tree.answer().answers[0].failure is None
    assert len([path for _, path, _ in server.requests if path == f"/bytes/in-{lease.attempt_id}"]) == 1


def test_nothing_is_wanted_any_more(tree, server, image):
    first, second = sh(server, image, ECHO), sh(server, image, ECHO)
    tree.task([first, second])
    tree.wanted([])
    assert tree.run() == 0
    assert tree.finished
    assert {(each.failure.failure_class, each.failure.code) for each in tree.answer().answers} == {
        ("aborted", "stopped")
    }


def test_one_of_two_is_not_wanted_any_more(tree, server, image):
    first, second = sh(server, image, ECHO), sh(server, image, ECHO)
    tree.task([first, second])
    tree.wanted([second])
    assert tree.run() == 0
    answers = {each.attempt_id: each for each in tree.answer().answers}
    assert answers[first.attempt_id].failure.failure_class == "aborted"
    assert answers[second.attempt_id].inline == lines(3)


@pytest.mark.parametrize(("status", "code"), [(403, "url_invalid"), (404, "lease_refused")])
def test_the_server_does_not_know_the_task(tree, server, image, status, code):
    tree.task([sh(server, image, ECHO)])
    server.status["/bytes/leases"] = status
    assert tree.run() == 1
    assert (tree.failure()["failure_class"], tree.failure()["code"]) == ("ours", code)


def test_the_task_is_over(tree, server, image):
    tree.task([sh(server, image, ECHO)])
    server.status["/bytes/leases"] = 410
    assert tree.run() == 0
    assert tree.answer().answers[0].failure.failure_class == "aborted"


@pytest.mark.parametrize("ticket", [b"", b"{}", b"[1]", b"\xff" * 100, b'{"ticket_version":2}', b"[" * 100_000])
def test_a_ticket_that_cannot_be_read(tree, ticket):
    (tree.slot / "ticket.json").write_bytes(ticket)
    assert tree.run() == 1
    assert tree.failure()["code"] == "ticket_invalid"
    assert "Traceback" not in tree.stderr()


@pytest.mark.parametrize("body", [b"", b"{}", b'{"leases":[{}]}', b'{"leases":[{"attempt_id":"x"}]}', b'{"leases":5}'])
def test_leases_that_cannot_be_read(tree, server, image, body):
    tree.task([sh(server, image, ECHO)])
    server.put("leases", body)
    assert tree.run() == 1
    assert tree.failure()["code"] == "server_strange"
    assert "Traceback" not in tree.stderr()


def test_the_image_comes_from_the_server(tree, server, fresh_mark):  # noqa: F811 - the fixture
    image = serve_layout(server, fresh_mark)
    tree.task([server.lease(lines(2), image=image), server.lease(lines(2), image=image)])
    server.put("image", msgspec.json.encode(server.images[image.digest]))
    assert tree.run() == 0
    assert [each.inline for each in tree.answer().answers] == [lines(2)] * 2


def test_an_image_that_nobody_has(tree, server):
    image = wire.ImageRef("nobody/has:this", "sha256:" + "0" * 64, "sha256:" + "1" * 64, "layout")
    tree.task([server.lease(lines(2), image=image)])
    assert tree.run() == 1
    assert tree.failure()["code"] == "image_missing"


def test_a_store_that_is_away_while_the_image_is_fetched(tree, server, fresh_mark):  # noqa: F811 - the fixture
    image = serve_layout(server, fresh_mark)
    tree.task([server.lease(lines(2), image=image)])
    server.put("image", msgspec.json.encode(server.images[image.digest]))
    server.status["/bytes/blob-"] = 503
    assert tree.run() == 0
    assert int(tree.later()[0]) == 60
    server.status.clear()
    assert tree.run() == 0
    assert tree.answer().answers[0].inline == lines(2)


def test_the_machine_fails_after_something_was_finished(tree, server, image):
    missing = wire.ImageRef("nobody/has:this", "sha256:" + "0" * 64, "sha256:" + "1" * 64, "engine")
    leases = [sh(server, image, ECHO), server.lease(lines(2), image=missing), sh(server, image, ECHO)]
    tree.task(leases)
    assert tree.run() == 0
    good, bad, rest = tree.answer().answers
    assert good.inline == lines(3)
    assert bad.failure.code == rest.failure.code == "image_missing"


def test_an_input_whose_url_is_over_is_asked_for_anew(tree, server, image):
    stale, fresh = sh(server, image, ECHO), sh(server, image, ECHO)
    server.status[f"/bytes/in-{stale.attempt_id}"] = 410
    tree.task([stale])
    assert tree.run() == 0
    assert int(tree.later()[0]) == 60
    renewed = json.loads(msgspec.json.encode(stale)) | {"input": {"format": "jsonl", "url": fresh.input.url}}
    server.put("leases", json.dumps({"leases": [renewed]}).encode())
    assert tree.run() == 0
    assert tree.answer().answers[0].inline == lines(3)

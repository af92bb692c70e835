"""The client pauses, ends and loses the program; real containers stand still, end, and are never left."""

import os
import signal
from pathlib import Path

import msgspec
import pytest

from fallow.worker.engines.oci_engine import WORKER_LABEL
from tests.worker.test_containers import fresh_mark, serve_layout  # noqa: F401 - a fixture among them
from tests.worker.test_stream import lines
from tests.worker.volunteer.test_task import ECHO, sh

pytestmark = pytest.mark.containers

SLOW = 'while read a; do sleep 0.2; echo "$a"; done'
HANG = "read a; sleep 1000"


def done(tree):
    """Items that were answered, as the volunteer's screen shows them."""
    return round(tree.progress.get("fraction_done", 0.0) * 1000)


def test_suspend_stops_and_resume_goes_on(tree, server, image, containers):
    lease = sh(server, image, SLOW, 30)
    tree.task([lease])
    tree.start()
    tree.until(lambda: done(tree) > 0)
    tree.ask("suspend")
    tree.until(lambda: containers.of(lease.attempt_id, state="paused"))
    seen = []
    for _ in range(3):  # three words of the program, a second apart
        tree.progress = {}
        tree.until(lambda: tree.progress)
        seen.append(done(tree))
    assert seen[0] == seen[1] == seen[2] < 1000
    tree.ask("resume")
    tree.until(lambda: containers.of(lease.attempt_id, state="running"))
    tree.until(lambda: done(tree) > seen[-1])
    assert tree.end() == 0
    (report,) = tree.answer().answers
    assert report.failure is None
    assert report.inline == lines(30)


def test_limits_do_not_run_while_it_is_suspended(tree, server, image, containers):
    limits = type(sh(server, image, ECHO).limits)(item_timeout_seconds=2.0, start_timeout_seconds=1.0)
    lease = sh(server, image, SLOW, 20, limits=limits)
    tree.task([lease])
    tree.start()
    tree.until(lambda: done(tree) > 0)
    tree.ask("suspend")
    tree.until(lambda: containers.of(lease.attempt_id, state="paused"))
    for _ in range(5):
        tree.progress = {}
        tree.until(lambda: tree.progress)
    tree.ask("resume")
    assert tree.end() == 0
    assert tree.answer().answers[0].failure is None


@pytest.mark.parametrize("how", ["quit", "sigterm"])
def test_quit_ends_the_container_and_keeps_what_is_finished(tree, server, image, containers, how):
    first, second = sh(server, image, ECHO), sh(server, image, HANG)
    tree.task([first, second])
    tree.start()
    tree.until(lambda: tree.kept() and containers.of(second.attempt_id))
    if how == "quit":
        tree.ask("quit")
    else:
        tree.process.send_signal(signal.SIGTERM)
    assert tree.end() == 0
    assert not tree.finished
    assert not containers.of(second.attempt_id)
    assert tree.kept() == [str(first.attempt_id)]
    fetched = [path for _, path, _ in server.requests if path == f"/bytes/in-{first.attempt_id}"]
    assert len(fetched) == 1
    again = type(second)(**{f: getattr(second, f) for f in second.__struct_fields__} | {"command": ("/bin/cat",)})
    tree.wanted([first, again])
    assert tree.run() == 0
    assert tree.finished
    assert [each.inline for each in tree.answer().answers] == [lines(3), lines(3)]
    assert [path for _, path, _ in server.requests if path == f"/bytes/in-{first.attempt_id}"] == fetched


def test_a_suspended_task_can_quit(tree, server, image, containers):
    lease = sh(server, image, SLOW, 100)
    tree.task([lease])
    tree.start()
    tree.until(lambda: done(tree) > 0)
    tree.ask("suspend")
    tree.until(lambda: containers.of(lease.attempt_id, state="paused"))
    tree.ask("quit")
    assert tree.end() == 0
    assert not containers.of(lease.attempt_id)


def test_the_client_learns_which_processes_are_the_tasks(tree, server, image, containers, podman):
    """Else it would take the container's work for the owner's, and pause the task for it."""
    lease = sh(server, image, HANG)
    tree.task([lease])
    tree.start()
    tree.until(lambda: "other_pid" in tree.progress)
    (container,) = containers.of(lease.attempt_id)
    assert tree.progress["other_pid"] == podman.state(container)["Pid"]


def test_two_slots_share_an_image_and_a_key(tree, server, fresh_mark):  # noqa: F811 - the fixture
    image = serve_layout(server, fresh_mark)
    server.put("image", msgspec.json.encode(server.images[image.digest]))
    other = tree.beside(1)
    for each in (tree, other):
        each.task([server.lease(lines(3), image=image)], name=f"leases-{each.slot.name}")
        each.start()
    assert [each.end() for each in (tree, other)] == [0, 0]
    assert tree.answer().public_key == other.answer().public_key
    assert [each.answer().answers[0].inline for each in (tree, other)] == [lines(3)] * 2
    fetched = [path for _, path, _ in server.requests if "/blob-" in path]
    assert len(fetched) == len(set(fetched)) == 2


def test_abort_keeps_nothing(tree, server, image, containers):
    first, second = sh(server, image, ECHO), sh(server, image, HANG)
    tree.task([first, second])
    tree.start()
    tree.until(lambda: tree.kept() and containers.of(second.attempt_id))
    tree.ask("abort")
    assert tree.end() == 0
    assert not containers.of(second.attempt_id)
    assert not (tree.slot / "fallow").exists()
    assert not (tree.slot / "answer.json").exists()


def test_a_silent_client_is_gone(tree, server, image, containers):
    lease = sh(server, image, HANG)
    tree.task([lease])
    tree.start()
    tree.until(lambda: containers.of(lease.attempt_id))
    tree.until(lambda: tree.process.poll() is not None, beat=False)
    assert tree.process.returncode == 0
    assert not tree.finished
    assert not containers.of(lease.attempt_id)
    assert "silent" in tree.stderr()


def test_kill_9_leaves_no_container(tree, server, image, containers):
    lease = sh(server, image, "trap '' TERM INT; sleep 1000")
    tree.task([lease])
    tree.start()
    tree.until(lambda: containers.of(lease.attempt_id, state="running"))
    tree.kill()
    tree.until(lambda: not containers.of(lease.attempt_id), beat=False)


def test_the_next_program_removes_what_a_killed_one_left(tree, server, image, containers, podman):
    """Also where the guard was killed, as when the machine's power failed: here the container was never guarded."""
    label = "v-3-" + os.urandom(8).hex()
    said = podman.command(
        "run", "--detach", "--pull=never", "--network=none", *(f"--ulimit={each}" for each in podman.flavour.ulimits),
        f"--label={WORKER_LABEL}={label}", f"--label=io.fallow.attempt={label}", image.reference, "/bin/sleep", "1000",
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    slots = Path(tree.project, "fallow", "slots")
    slots.mkdir(parents=True)
    (slots / "3").write_text(label + "\n")
    tree.task([sh(server, image, ECHO)])
    assert tree.run() == 0
    assert not containers.of(label)
    assert "Removed 1 container" in tree.stderr()
    assert (slots / "0").read_text() == (slots / "3").read_text() == ""

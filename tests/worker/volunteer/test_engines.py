"""What the volunteer's side adds to the engine: pausing where there is no freezer, low priority, images that go."""

import os
import subprocess
import time
from pathlib import Path

import msgspec
import pytest

from fallow.worker.assignment import ImageNeed
from fallow.worker.control import Control
from fallow.worker.engines.engine import ContainerSpec
from fallow.worker.engines.freezing import freeze, thaw
from fallow.worker.engines.oci_engine import Flavour, run_arguments
from fallow.worker.hold import Hold
from fallow.worker.images import drop_image
from fallow.worker.volunteer.home import find_home
from fallow.worker.volunteer.image_store import UNUSED_SECONDS, ImageStore
from fallow.worker.volunteer.init_data import InitData
from fallow.worker.volunteer.pausable import Pausable
from fallow.worker.volunteer.server import Server
from fallow.worker.volunteer.ticket import Ticket, parse_layout
from tests.worker.test_containers import fresh_mark, serve_layout  # noqa: F401 - a fixture among them

pytestmark = pytest.mark.containers

# Three processes that all count, the grandchild in the background too.
COUNTING = (
    "/bin/sh",
    "-c",
    "(while :; do echo a >&2; sleep 0.05; done) & (sh -c 'while :; do echo b >&2; sleep 0.05; done') & "
    "while :; do echo c >&2; sleep 0.05; done",
)


def no_freezer(*_arguments):
    return subprocess.CompletedProcess((), 125, "", "pause is not supported")


@pytest.fixture
def counting(podman, busybox, tmp_path):
    spec = ContainerSpec(busybox.image_id, tmp_path, COUNTING, memory_bytes=64 << 20)
    running = podman.start(spec)
    os.set_blocking(running.stderr.fileno(), False)
    yield running
    running.close()


def heard(running):
    try:
        return os.read(running.stderr.fileno(), 1 << 16)
    except BlockingIOError:
        return b""


def until(true):
    limit = time.monotonic() + 30
    while not true():
        assert time.monotonic() < limit, "it never became true"
        time.sleep(0.05)


def hears_all(running):
    said = set()
    until(lambda: said.update(heard(running)) or said >= set(b"abc"))


def is_silent(running):
    """Nothing comes while a container that runs would have said something ten times."""
    heard(running)
    said = [heard(running) for _ in range(10) if not time.sleep(0.05)]
    return not any(said)


def test_without_a_freezer_all_processes_are_stopped_by_signal(counting):
    hears_all(counting)
    first = counting.first_process()
    assert freeze(no_freezer, "x", first, ())
    until(lambda: is_silent(counting))
    assert thaw(no_freezer, "x", first, ())
    hears_all(counting)


def test_a_container_stopped_by_signal_can_be_ended(counting):
    hears_all(counting)
    assert freeze(no_freezer, "x", counting.first_process(), ())
    counting.kill()
    assert counting.poll()


def test_nothing_to_stop():
    assert not freeze(no_freezer, "x", 0, ())


def test_containers_follow_the_hold(podman, busybox, tmp_path):
    """Also one that is started while all are paused."""
    hold = Hold()
    engine = Pausable(podman, hold)
    runs = []
    try:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            runs.append(engine.start(ContainerSpec(busybox.image_id, tmp_path / name, COUNTING)))
            os.set_blocking(runs[-1].stderr.fileno(), False)
            hold.begin()
            engine.changed()
            until(lambda: engine.settled and all(is_silent(each) for each in runs))
        hold.end()
        engine.changed()
        for each in runs:
            hears_all(each)
        until(lambda: engine.settled)
        assert engine.cpu_seconds > 0
    finally:
        for each in runs:
            each.close()
        engine.close()
    assert engine.settled


def test_a_volunteers_container_gives_way_and_sees_one_gpu():
    flavour = Flavour("podman", "4.3.1")
    spec = ContainerSpec("i", Path(), accelerators=1, accelerator=2, yielding=True)
    assert "--device=nvidia.com/gpu=2" in run_arguments(flavour, spec, "w", "")
    assert {"--gpus=device=2", "--cpu-shares=16"} <= set(run_arguments(Flavour("docker", "20"), spec, "w", ""))
    plain = run_arguments(flavour, ContainerSpec("i", Path()), "w", "")
    assert not [each for each in plain if "gpu" in each or "shares" in each]


def test_images_that_are_not_used_for_long_go(tmp_path, server, podman, fresh_mark):  # noqa: F811 - the fixture
    ref = serve_layout(server, fresh_mark)
    url = server.put("image", msgspec.json.encode(server.images[ref.digest]))
    assert parse_layout(server.blobs["/bytes/image"]).digest == ref.digest
    (tmp_path / "slots" / "0").mkdir(parents=True)
    home = find_home(tmp_path / "slots" / "0", InitData(project_dir=str(tmp_path), client_dir=str(tmp_path)))
    ticket = Ticket("r", "b-1.1", "", url, 0, 0)
    calls = Server(ticket, lambda _: False)
    need = ImageNeed(ref.reference, ref.digest, "", "layout")
    store = ImageStore(home, podman, calls, None)
    image = store.ensure(need, Control())
    assert podman.has_image(image)
    other = ImageNeed("other", "sha256:" + "0" * 64, "", "engine")
    ImageStore(home, podman, calls, None).ensure(other, Control())
    assert podman.has_image(image)
    mark = tmp_path / "fallow" / "images" / "used" / ref.digest
    os.utime(mark, (0, time.time() - UNUSED_SECONDS - 60))
    ImageStore(home, podman, calls, None).ensure(other, Control())
    assert not podman.has_image(image)
    assert not mark.exists()
    drop_image(podman, ref.digest)  # harmless when it is gone

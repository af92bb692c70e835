"""The agent with podman: images by layout, crashes of the agent, the network, engines that do not work."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from fallow.core.words import Engine
from fallow.protocols.rest import work as wire
from fallow.worker.engines.engine import ContainerSpec, Mount, Network
from fallow.worker.engines.oci_engine import Flavour, OciEngine, run_arguments
from fallow.worker.engines.probe import probe, remedy_for
from fallow.worker.identity import load_identity
from tests.worker.test_stream import lines
from tests.worker.tinyimage import busybox_root, digest_of, layout_parts

pytestmark = pytest.mark.containers


def serve_layout(server, mark):
    """An image that no engine has yet, in the server's own store."""
    manifest, blobs, image_id = layout_parts(busybox_root({"mark": mark}))
    refs = tuple(wire.BlobRef(d, len(data), server.put(f"blob-{d[7:19]}", data)) for d, data in blobs.items())
    digest = digest_of(manifest)
    server.images[digest] = wire.ImageBlobs(digest, manifest, "application/vnd.oci.image.manifest.v1+json", refs)
    return wire.ImageRef(f"test/{mark.decode()}:1", digest, image_id, "layout")


@pytest.fixture
def fresh_mark(podman):
    """Makes an image new to the engine, and removes it afterwards."""
    mark = os.urandom(6).hex().encode()
    yield mark
    _, _, image_id = layout_parts(busybox_root({"mark": mark}))
    podman.command("image", "rm", "--force", image_id)


def test_an_image_comes_from_the_servers_layout(server, agent, fresh_mark):
    image = serve_layout(server, fresh_mark)
    first = server.lease(lines(3), image=image)
    second = server.lease(lines(3), image=image, command=("/bin/cat",))
    agent(engine=Engine.PODMAN)
    for lease in (first, second):
        assert server.report_of(lease).failure is None
        assert server.artifact(lease) == lines(3)
    fetched = [path for verb, path, _ in server.requests if "blob-" in path]
    assert len(fetched) == len(set(fetched)) == 2


def test_a_download_that_is_cut_goes_on_where_it_was(server, agent, fresh_mark):
    image = serve_layout(server, fresh_mark)
    layer = max(server.images[image.digest].blobs, key=lambda blob: blob.size_bytes)
    config = min(server.images[image.digest].blobs, key=lambda blob: blob.size_bytes)
    server.images[image.digest] = wire.ImageBlobs(
        image.digest, server.images[image.digest].manifest, server.images[image.digest].media_type, (layer, config)
    )
    lease = server.lease(b'{"n":0}\n', image=image)
    server.cut_after = 500_000
    agent(engine=Engine.PODMAN)
    assert server.report_of(lease).failure is None
    ranges = [held for _, path, held in server.requests if layer.url.endswith(path)]
    assert [each.partition("-")[0] for each in ranges] == ["bytes=0", "bytes=500000"]


@pytest.mark.parametrize("source", ["layout", "engine"])
def test_an_image_that_is_nowhere(server, agent, source):
    image = wire.ImageRef("nobody/has:this", "sha256:" + "0" * 64, "sha256:" + "1" * 64, source)
    lease = server.lease(lines(1), image=image)
    agent(engine=Engine.PODMAN)
    failure = server.report_of(lease).failure
    assert (failure.failure_class, failure.code) == ("worker", "image_missing")


def test_a_blob_with_other_bytes_is_not_loaded(server, agent, fresh_mark):
    image = serve_layout(server, fresh_mark)
    for blob in server.images[image.digest].blobs:
        path = blob.url.removeprefix(server.url)
        server.blobs[path] = server.blobs[path][:-1] + b"\0"
    lease = server.lease(lines(1), image=image)
    agent(engine=Engine.PODMAN)
    assert server.report_of(lease).failure.code == "image_missing"


def test_kill_9_leaves_no_container_after_the_next_start(server, tmp_path, podman, busybox):
    image = wire.ImageRef(busybox.reference, "", busybox.image_id, "engine")
    hang = server.lease(lines(1), image=image, command=("/bin/sleep", "1000"))
    program = (
        "import sys, threading, pathlib; from fallow.worker.agent import run_agent;"
        "from fallow.worker.options import AgentOptions;"
        "run_agent(AgentOptions(sys.argv[1], pathlib.Path(sys.argv[2]), 'key'), threading.Event())"
    )
    arguments = [sys.executable, "-c", program, server.url, str(tmp_path)]
    first = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    try:
        worker_id = None

        def containers():
            return podman.command("ps", "-aq", f"--filter=label=io.fallow.worker={worker_id}").stdout.split()

        server.until(lambda: hang.attempt_id in server.held)
        worker_id = load_identity(tmp_path).worker_id
        server.until(containers)
    finally:
        first.kill()
        first.wait()
    assert containers()
    after = server.lease(lines(2), image=image, command=("/bin/cat",))
    second = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    try:
        assert server.report_of(after).failure is None
    finally:
        second.kill()
        second.wait()
    until = time.monotonic() + 20
    while containers() and time.monotonic() < until:
        time.sleep(0.1)  # the warm one reads the end of its input and goes
    assert not containers()


def test_sigterm_drains_a_real_agent(server, tmp_path, busybox):
    image = wire.ImageRef(busybox.reference, "", busybox.image_id, "engine")
    slow = 'while read a; do sleep 0.4; echo "$a"; done'
    lease = server.lease(lines(3), image=image, command=("/bin/sh", "-c", slow))
    program = (
        "import sys, pathlib; from fallow.worker.agent import run_agent, stop_on_signals;"
        "from fallow.worker.options import AgentOptions;"
        "sys.exit(run_agent(AgentOptions(sys.argv[1], pathlib.Path(sys.argv[2]), 'key'), *stop_on_signals()))"
    )
    agent = subprocess.Popen([sys.executable, "-c", program, server.url, str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        server.until(lambda: any(held.items_done for ask in server.asks for held in ask.holding))
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(60) == 0
    finally:
        agent.kill()
    assert server.report_of(lease).inline == lines(3)
    assert server.asks[-1].leaving


def test_no_network_unless_asked(rig):
    ended = rig.sh("read a; ls /sys/class/net | wc -l", items=lines(1))
    assert json.loads(ended.answers) == 1


def test_the_warm_container_knows_its_use(rig):
    busy = 'while read a; do i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; echo "$a"; done'
    ended = rig.sh(busy, items=lines(2), reuse="job")
    assert ended.receipt.cpu_seconds > 0
    assert ended.receipt.memory_bytes_max > 0


def test_an_engine_that_is_not_there_says_how_to_get_it():
    verdict = probe("podman-that-is-not-here", "w-x")
    assert verdict.flavour is None
    assert "not installed" in verdict.message
    assert "apt-get install podman" in verdict.remedy


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("crun: setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission denied", "CAP_SYS_RESOURCE"),
        ("cgroups in hybrid mode not supported, drop all controllers from cgroupv2", "runc"),
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "systemctl start docker"),
        ("dial unix /var/run/docker.sock: connect: permission denied", "group docker"),
        ("cannot find newuidmap: exec: newuidmap: no such file", "--add-subuids"),
    ],
)
def test_known_troubles_have_remedies(said, remedy):
    assert remedy in remedy_for(said)


def test_dockers_command_line(tmp_path):
    """Held as a table: the flags of the two flavours differ, and a daemon is not everywhere."""
    spec = ContainerSpec(
        image_id="sha256:1",
        run_dir=tmp_path,
        command=("/run", "it"),
        env={"A": "b c"},
        mounts=(Mount(tmp_path, "/out", True), Mount(tmp_path, "/in")),
        network=Network.NONE,
        memory_bytes=1000,
        cpus=1.5,
        timeout_seconds=5,
        attempt="7",
    )
    docker = run_arguments(Flavour("docker", "20.10.24", ulimits=("nofile=9:9",)), spec, "w", "1000:1000")
    assert docker == [
        *("docker", "run", "--interactive", "--pull=never", "--cidfile=cid", "--read-only"),
        f"--tmpfs=/tmp:rw,nosuid,nodev,mode=1777,size={1 << 30}",
        *(
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
        ),
        *("--label=io.fallow.worker=w", "--label=io.fallow.attempt=7", "--log-driver=none", "--init"),
        *(
            "--ulimit=nofile=9:9",
            "--network=none",
            "--pids-limit=512",
            "--memory=1000",
            "--memory-swap=1000",
            "--cpus=1.5",
        ),
        *("--user=1000:1000", f"--volume={tmp_path}:/out:rw", f"--volume={tmp_path}:/in:ro", "--env=A=b c"),
        *("sha256:1", "/run", "it"),
    ]
    podman = run_arguments(Flavour("podman", "4.3.1", runtime="runc"), spec, "w", "")
    assert podman[:3] == ["podman", "--runtime", "runc"]
    assert {"--rm", "--log-driver=passthrough", "--pidfile=pid", "--timeout=6", "--http-proxy=false"} <= set(podman)
    ignored = run_arguments(Flavour("podman", "4.3.1", rootless=True, limits=False), spec, "w", "1000:1000")
    assert "--ulimit=data=1000:1000" in ignored
    assert not [flag for flag in ignored if flag.startswith(("--memory", "--cpus", "--pids"))]
    assert "--userns=keep-id" in ignored
    assert "--rm" not in run_arguments(Flavour("podman", "5.2.0"), spec, "w", "")


def test_an_image_without_a_user_runs_as_nobody_special(rig):
    assert isinstance(rig.engine, OciEngine)
    ended = rig.sh("read a; id -u", items=lines(1))
    assert json.loads(ended.answers) == 1000

"""The parts of the volunteer's program that need no container."""

import contextlib
import json
import threading
import urllib.request
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.protocols.rest import work as wire
from fallow.worker.hold import Hold
from fallow.worker.volunteer.answer import Head, inlined, spelt
from fallow.worker.volunteer.endings import Later, Left, come_back, later_seconds
from fallow.worker.volunteer.home import Slots, find_home, locked, resolved
from fallow.worker.volunteer.init_data import InitData, parse_init_data
from fallow.worker.volunteer.kept import Kept
from fallow.worker.volunteer.key import KEY_FILE, _made, load_key
from fallow.worker.volunteer.program import _use_proxy
from fallow.worker.volunteer.ticket import Unreadable, parse_layout, parse_leases, read_ticket
from fallow.worker.wire import from_lease
from tests.worker.volunteer.tree import RECORDED, Answers

RECORDING = (RECORDED / "init_data.xml").read_text()


def test_what_a_real_client_wrote():
    said = parse_init_data(RECORDING)
    assert said.result_name == "u1_6_0"
    assert (said.slot, said.cpus, said.docker, said.gpu_device, said.proxy) == (1, 1.0, "", -1, "")
    assert said.memory_bytes == int(25276514304 * 0.9)
    assert said.disk_bytes == 10_000_000_000


def test_the_account_key_is_never_read():
    key = "b44b61213c2ca84d7f21f7536fd0898b"
    assert key in RECORDING
    assert key not in repr(parse_init_data(RECORDING))


def test_what_newer_clients_and_gpus_and_proxies_add():
    said = parse_init_data(
        "<gpu_type>NVIDIA</gpu_type><gpu_device_num>2</gpu_device_num><docker_type>2</docker_type>"
        "<http_server_name>proxy.lan</http_server_name><http_server_port>3128</http_server_port>"
        "<http_user_name>a@b</http_user_name><http_user_passwd>&lt;p:w&gt;</http_user_passwd>"
    )
    assert (said.gpu_kind, said.gpu_device, said.docker) == ("NVIDIA", 2, "podman")
    assert said.proxy == "http://a%40b:%3Cp%3Aw%3E@proxy.lan:3128"


@given(st.text() | st.text(alphabet="<>/slotncpus0123456789.e+-\n"))
def test_any_init_data_is_read(text):
    assert parse_init_data(text).slot >= -1


@given(st.integers(0, len(RECORDING)))
def test_init_data_cut_anywhere_is_read(size):
    assert parse_init_data(RECORDING[:size]).gpu_device == -1


def test_a_proxy_is_used_unless_the_environment_names_one(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.setenv(name, "")  # so that it is as before afterwards, whoever sets it
        monkeypatch.delenv(name)
    monkeypatch.setenv("https_proxy", "http://mine")
    _use_proxy(InitData(proxy="http://theirs:80", no_proxy="x.lan"))
    assert urllib.request.getproxies() == {
        "http": "http://theirs:80",
        "https": "http://mine",
        "no": "localhost,127.0.0.1,x.lan",
    }


def home(root: Path, number: int = 0):
    slot, project = root / "slots" / str(number), root / "projects" / "p"
    slot.mkdir(parents=True, exist_ok=True)
    project.mkdir(parents=True, exist_ok=True)
    return find_home(slot, InitData(project_dir=str(project), client_dir=str(root), slot=number))


def test_the_key_is_made_once_and_kept(tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(load_key(home(tmp_path)).public)) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(set(found)) == 1
    assert len(found) == 8
    assert load_key(home(tmp_path, 3)).public == found[0]
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob(f".{KEY_FILE}*"))


def test_a_damaged_key_is_replaced(tmp_path):
    (tmp_path / KEY_FILE).write_bytes(b"half")
    assert load_key(home(tmp_path)).public == load_key(home(tmp_path)).public
    assert len((tmp_path / KEY_FILE).read_bytes()) == 32


def test_the_key_is_with_the_project_where_the_client_has_no_room(tmp_path, monkeypatch):
    where = home(tmp_path)
    monkeypatch.setattr("fallow.worker.volunteer.key._made", _refusing(where.client))
    public = load_key(where).public
    assert (where.project / KEY_FILE).exists()
    assert not (where.client / KEY_FILE).exists()
    assert load_key(where).public == public


def _refusing(directory: Path):
    """Root may write everywhere, so a directory that cannot be written is played."""

    def made(path: Path) -> bytes:
        if path.parent == directory:
            raise PermissionError(13, "Permission denied")
        return _made(path)

    return made


def test_a_soft_link_is_followed(tmp_path):
    (tmp_path / "a").write_text("<soft_link>../projects/x/b</soft_link>\n")
    assert resolved(tmp_path / "a") == tmp_path / "../projects/x/b"
    (tmp_path / "c").write_text('{"ticket_version": 1}')
    assert resolved(tmp_path / "c") == tmp_path / "c"
    assert resolved(tmp_path / "none") == tmp_path / "none"


def test_a_slot_has_one_program(tmp_path):
    first = Slots(home(tmp_path))
    assert first.enter(lambda _: False) == []
    with pytest.raises(Left):
        Slots(home(tmp_path)).enter(lambda _: True)
    with pytest.raises(Later):
        Slots(home(tmp_path)).enter(lambda _: False)
    assert Slots(home(tmp_path, 1)).enter(lambda _: False) == []


def test_a_lock_is_waited_for_and_given_up_when_told(tmp_path):
    with locked(tmp_path / "lock", lambda _: False), pytest.raises(Left), locked(tmp_path / "lock", lambda _: True):
        pass
    with locked(tmp_path / "lock", lambda _: True):
        assert (tmp_path / "lock").exists()


def test_later_is_written_as_the_client_reads_it(tmp_path, capsys):
    assert come_back(tmp_path, Later(60.0, "the server cannot be reached")) == 0
    assert (tmp_path / "boinc_temporary_exit").read_text() == "60\nthe server cannot be reached\n"
    assert [later_seconds(n) for n in (0, 1, 2, 5, 6, 1000)] == [60, 120, 240, 1920, 3600, 3600]


def test_the_clock_stands_still_while_held():
    hold = Hold()
    hold.begin()
    held = hold.now()
    assert hold.held
    assert not hold.wait_free(0.05)
    assert hold.now() == held
    hold.end()
    assert hold.wait_free(0)
    assert held <= hold.now() < held + 30
    hold.end()
    assert not hold.held


def kept(directory: Path, attempt_id: int, artifact: bytes | None) -> Kept:
    place = directory / str(attempt_id)
    place.mkdir()
    if artifact is not None:
        (place / "artifact").write_bytes(artifact)
    return Kept(place, attempt_id, 1, b"{}", None)


def test_small_artifacts_travel_inside_while_there_is_room(tmp_path):
    head = Head("b-1.1", bytes(32), "podman 4", 1.0)
    all_ = [kept(tmp_path, n, bytes(size)) for n, size in enumerate((100, 2000, 100, 100))] + [kept(tmp_path, 9, None)]
    assert inlined(head, all_, 1000, 1 << 20) == {0, 2, 3}
    bare = len(spelt(head, all_, set()))
    assert inlined(head, all_, 1000, bare + 300) == {0, 2}
    for most in range(bare, bare + 500, 7):
        inside = inlined(head, all_, 1000, most)
        assert len(spelt(head, all_, inside)) <= most
    assert inlined(head, all_, 1000, 0) == set()


def test_the_answer_is_read_by_the_wires_own_structs(tmp_path):
    failure = {"failure_class": "limits", "code": "item_timeout", "message": "Ä\ud800", "items_done": 1, "bad_item": 2,
               "exit_code": None, "log_tail": "\0\x1b[1m"}  # fmt: skip
    head = Head("b-1.1", bytes(range(32)), "podman 4.3.1", 1.23456)
    data = spelt(
        head, [Kept(tmp_path, 5, 3, b"envelope", failure, log_size_bytes=7), kept(tmp_path, 6, b"\xff\0")], {6}
    )
    read = msgspec.json.decode(data, type=Answers)
    assert (read.public_key, read.engine, read.elapsed_seconds) == (bytes(range(32)), "podman 4.3.1", 1.235)
    first, second = read.answers
    assert (first.envelope, first.inline, first.log_size_bytes) == (b"envelope", None, 7)
    assert first.failure == wire.Failure("limits", "item_timeout", "Ä?", 1, 2, None, "\0\x1b[1m")
    assert (second.inline, second.failure) == (b"\xff\0", None)


LEASE = wire.Lease(
    attempt_id=1, job_id="j", chunk_id=2, item_start=3, item_count=4, contract="http",
    input=wire.ChunkInput("objects", objects=(wire.ObjectInput("a", "http://x/a", 5, "s"),), columns=("c",), skip=1),
    limits=wire.LimitsMessage(item_timeout_seconds=1.5, memory_bytes=1 << 30), upload_url="http://u", log_url="http://l",
    deadline_seconds=60.0, image=wire.ImageRef("r", "d", "i", "layout"), ran="d", command=("a", "b"), env={"K": "v"},
    reuse="never", harness=True, outbound=True, artifact_uri="fallow:x", input_url="http://i", output_url="http://o",
    traceparent="t", http=wire.HttpMessage(port=1, concurrency_max=0), accelerators=1,
)  # fmt: skip


@pytest.mark.parametrize("omit_defaults", [False, True])
@pytest.mark.parametrize(
    "lease",
    [
        LEASE,
        wire.Lease(
            1, "j", 2, 3, 4, "stream", wire.ChunkInput("jsonl", "http://x"), wire.LimitsMessage(), "u", "l", 1.0
        ),
    ],
)
def test_a_lease_is_read_as_the_agent_reads_it(lease, omit_defaults):
    """Field for field what the agent's own reader makes of the same message; newer servers may say more."""
    body = json.loads(msgspec.json.encode(lease))
    if omit_defaults:
        plain = {field.name: field.default for field in msgspec.structs.fields(wire.Lease)}
        body = {name: value for name, value in body.items() if value not in (plain[name], [], {}, None)}
    body["limits"]["news"] = body["news"] = 1
    assert parse_leases(json.dumps({"leases": [body], "heartbeat_url": ""}).encode()) == (from_lease(lease),)


def test_an_image_is_read_as_the_wire_has_it():
    blobs = wire.ImageBlobs("sha256:d", b"\0manifest", "m", (wire.BlobRef("sha256:b", 5, "/x"),))
    layout = parse_layout(msgspec.json.encode(blobs))
    assert (layout.digest, layout.manifest, layout.media_type) == ("sha256:d", b"\0manifest", "m")
    assert [(each.digest, each.size_bytes, each.url) for each in layout.blobs] == [("sha256:b", 5, "/x")]


NAMES = ("leases", "attempt_id", "limits", "input", "image", "ticket_version", "ai_batch", "blobs", "manifest")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
)


@given(JSON)
def test_strange_json_is_refused_in_one_way(value):
    data = json.dumps(value).encode()
    for read in (parse_leases, parse_layout):
        with contextlib.suppress(Unreadable):
            assert read(data) is not None


@given(value=JSON)
def test_strange_tickets_are_refused_in_one_way(value, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "ticket"
    path.write_bytes(json.dumps(value).encode())
    with pytest.raises(Unreadable):
        read_ticket(path)

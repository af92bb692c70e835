"""The runner and tickets as clients fetch them: whole, in ranges, resumed; on files and on S3."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fallow.core.words import Micros, WorkerId
from fallow.protocols.boinc import names
from fallow.settings import Settings
from fallow.store.port import HostRow
from fallow.wiring import EmbeddedServer, start_embedded
from tests.servers.radosgw import S3Server
from tests.web.raw import Wire

PLATFORM = "x86_64-pc-linux-gnu"
NAME = f"fallow-runner_100_{PLATFORM}"


@dataclass(frozen=True)
class Project:
    """A server with a task that was sent to a client. ticket: its file's name."""

    server: EmbeddedServer
    ticket: str

    @property
    def url(self) -> str:
        return f"{self.server.url}/boinc/download/"

    @property
    def ticket_url(self) -> str:
        return f"{self.url}{names.directory_of(self.ticket)}/{self.ticket}"


@pytest.fixture(scope="module", params=["files", pytest.param("s3", marks=pytest.mark.s3)])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        objects = ""
        if request.param == "s3":
            s3: S3Server = request.getfixturevalue("s3_server")
            for name, value in s3.environment().items():
                patch.setenv(name, value)
            objects = s3.uri(folder.name)
        options = Settings(data_dir=folder / "data", allowed_roots=(folder,), allow_process_jobs=True, objects=objects)
        server = start_embedded(options)
        yield Project(server, send_task(server, folder))
        server.stop()


def send_task(server: EmbeddedServer, folder: Path) -> str:
    """A task's ticket, as if a client had called for it."""
    (folder / "in.jsonl").write_text('{"n":1}\n')
    body = {"input_uri": f"file://{folder / 'in.jsonl'}", "command": ["cat"], "chunk_items": 1}
    headers = {"authorization": f"Bearer {server.admin_key}"}
    made = httpx2.post(f"{server.url}/api/jobs", json=body, headers=headers)
    assert made.status_code == 201, made.text
    with server.system.store.transaction() as tx:
        job = tx.job(made.json()["job_id"])
        assert job is not None
        new = HostRow(0, WorkerId(""), "operators", 1, "c" * 32, "", 1, Micros(1), Micros(1), "{}")
        host = tx.add_host(new)
        number = tx.add_result(host.host_id, host.worker_id, job.job_key, [], Micros(1), Micros(2), 1.0)
    return server.system.door.boinc.tickets.name(number)


@pytest.fixture(scope="module")
def runner(project: Project) -> bytes:
    """As it was published."""
    versions = project.server.system.door.boinc.versions
    row = versions.file(NAME)
    assert row is not None
    return versions.bytes_of(row)


def test_the_runner_is_served_whole(project: Project, runner: bytes) -> None:
    answer = httpx2.get(project.url + NAME)
    assert answer.status_code == 200
    assert answer.content == runner
    assert answer.headers["etag"] == f'"{hashlib.sha256(runner).hexdigest()}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert "immutable" in answer.headers["cache-control"]
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [("bytes=0-", 0, None), ("bytes=5000-", 5000, None), ("bytes=10-19", 10, 20), ("bytes=-7", -7, None)],
)
def test_ranges_are_answered_with_their_part(
    project: Project, runner: bytes, asked: str, start: int, stop: int | None
) -> None:
    answer = httpx2.get(project.url + NAME, headers={"range": asked})
    assert (answer.status_code, answer.content) == (206, runner[start:stop])
    first = start % len(runner)
    last = first + len(answer.content) - 1
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(runner)}"


def test_a_range_past_the_end_says_how_long_the_file_is(project: Project, runner: bytes) -> None:
    answer = httpx2.get(project.url + NAME, headers={"range": f"bytes={len(runner)}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(runner)}"


@pytest.mark.parametrize("asked", ["bytes=9-3", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes=" + "9" * 400])
def test_a_range_that_is_none_gives_the_whole(project: Project, runner: bytes, asked: str) -> None:
    answer = httpx2.get(project.url + NAME, headers={"range": asked})
    assert (answer.status_code, answer.content) == (200, runner)


def test_a_download_goes_on_only_with_the_same_bytes(project: Project, runner: bytes) -> None:
    etag = httpx2.head(project.url + NAME).headers["etag"]
    same = httpx2.get(project.url + NAME, headers={"range": "bytes=100-", "if-range": etag})
    assert (same.status_code, same.content) == (206, runner[100:])
    for other in ('"other"', f"W/{etag}", "Sun, 22 Nov 2026 01:49:36 GMT"):
        whole = httpx2.get(project.url + NAME, headers={"range": "bytes=100-", "if-range": other})
        assert (whole.status_code, whole.content) == (200, runner)
    for held in (etag, f'"x", W/{etag}', "*"):
        assert httpx2.get(project.url + NAME, headers={"if-none-match": held}).status_code == 304
    assert httpx2.get(project.url + NAME, headers={"if-none-match": '"x"'}).status_code == 200


def test_head_says_what_get_would(project: Project) -> None:
    for url in (project.url + NAME, project.ticket_url):
        for asked in ({}, {"range": "bytes=5-"}):
            head, get = httpx2.head(url, headers=asked), httpx2.get(url, headers=asked)
            assert head.content == b""
            assert head.status_code == get.status_code
            for name in ("content-length", "etag", "content-range", "content-type"):
                assert head.headers.get(name) == get.headers.get(name)


def test_a_ticket_is_served_where_its_name_says_and_nowhere_else(project: Project) -> None:
    answer = httpx2.get(project.ticket_url)
    assert answer.status_code == 200
    assert json.loads(answer.content)["lease_url"].endswith(f"/boinc/lease/{project.ticket}")
    assert answer.content == httpx2.get(project.ticket_url).content
    assert httpx2.get(project.ticket_url, headers={"range": "bytes=5-"}).content == answer.content[5:]
    assert "private" in answer.headers["cache-control"]
    right = int(names.directory_of(project.ticket), 16)
    for directory in (f"{right ^ 1:x}", f"{right:03X}G", f"0{right:x}", "400", "", ".."):
        assert httpx2.get(f"{project.url}{directory}/{project.ticket}").status_code == 404
    assert httpx2.get(project.url + project.ticket).status_code == 404


def test_what_was_never_ours_is_404(project: Project) -> None:
    wrong_token = project.ticket[:-1] + ("0" if project.ticket[-1] != "0" else "1")
    next_task = project.ticket.replace("ticket_1_", "ticket_2_")
    answer = project.ticket.replace("ticket", "answer")
    for name in (wrong_token, next_task, answer, "in_s1_2"):
        assert httpx2.get(f"{project.url}{names.directory_of(name)}/{name}").status_code == 404
    for name in (NAME.replace("100", "99"), NAME + "_", NAME.upper(), "fallow-runner"):
        assert httpx2.get(project.url + name).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../cgi-bin",
        "%2e%2e",
        "%2e%2e/%2e%2e/fallow.db",
        "..%2f..%2ffallow.db",
        "%00",
        f"{NAME}%00",
        f"{NAME}%00.txt",
        f".{NAME}",
        "a" * 5000,
        "115/" + "a" * 5000,
        "%ff%fe",
        "115/%ff",
        "\xe9",
        "%252e%252e/x",
        "0/../" + NAME,
        "*",
        "a%0d%0aset-cookie:x",
    ],
)
def test_paths_that_are_none_are_404(project: Project, path: str) -> None:
    with Wire(project.server.url) as wire:
        wire.send(f"GET /boinc/download/{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode("latin-1"))
        status = wire.answer().status
    assert status in (400, 404)


def test_what_is_ours_and_cannot_be_read_now_is_503(project: Project) -> None:
    places, row = project.server.system.places, project.server.system.door.boinc.versions.file(NAME)
    assert row is not None
    kept = places.artifacts.read(row.artifact_key, 0, row.size_bytes)
    places.artifacts.delete([row.artifact_key])
    try:
        answer = httpx2.get(project.url + NAME)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert httpx2.head(project.url + NAME).status_code == 503
    finally:
        places.artifacts.put(row.artifact_key, [kept])
    assert httpx2.get(project.url + NAME).content == kept


def test_nothing_is_written_there(project: Project) -> None:
    for method in ("PUT", "POST", "DELETE"):
        assert httpx2.request(method, project.url + NAME, content=b"x").status_code == 405


@given(st.text(st.characters(max_codepoint=255), max_size=60))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_name_is_a_mistake_of_ours(project: Project, text: str) -> None:
    for path in (quote(text, safe="/"), quote(text, safe="/").replace("%2E", "."), f"115/{quote(text, safe='')}"):
        assert httpx2.get(project.url + path, follow_redirects=False).status_code in (301, 307, 404)

"""Hot requests pass no router: they are answered as the application itself answers, which two slashes ask for."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from fallow.protocols.boinc import names
from fallow.settings import Settings
from fallow.wiring.embedded import EmbeddedServer, start_embedded
from tests.web.boinc.test_downloads import send_task

_UNNAMED = {"date", "x-request-id"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    folder = tmp_path_factory.mktemp("hot")
    found = start_embedded(Settings(data_dir=folder / "data", allowed_roots=(folder,), allow_process_jobs=True))
    yield found
    found.stop()


@pytest.fixture(scope="module")
def ticket(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.getbasetemp() / "hot0"
    return send_task(server, folder)


def both(server: EmbeddedServer, method: str, path: str, body: bytes = b"") -> httpx2.Response:
    """The answer of the short way, which is that of the long one."""
    short = httpx2.request(method, f"{server.url}/boinc/{path}", content=body)
    long = httpx2.request(method, f"{server.url}/boinc//{path}", content=body)
    assert short.status_code == long.status_code
    assert short.content == long.content
    assert {key: short.headers[key] for key in short.headers if key not in _UNNAMED} == {
        key: long.headers[key] for key in long.headers if key not in _UNNAMED
    }
    return short


def test_a_ticket_is_the_same_from_memory_and_from_rows(server: EmbeddedServer, ticket: str) -> None:
    tickets = server.system.door.boinc.tickets
    path = f"download/{names.directory_of(ticket)}/{ticket}"
    assert tickets.kept(ticket) is None
    from_rows = httpx2.get(f"{server.url}/boinc/{path}")
    assert tickets.kept(ticket) == from_rows.content != b""
    assert both(server, "GET", path).content == from_rows.content
    assert both(server, "HEAD", path).content == b""


def test_both_ways_answer_alike(server: EmbeddedServer, ticket: str) -> None:
    assert both(server, "GET", f"lease/{ticket}").json() == {"leases": []}
    assert both(server, "POST", "cgi", b"<scheduler_request></scheduler_request>").content.startswith(b"<")
    assert b"<status>-1</status>" in both(server, "POST", "file_upload_handler", b"nothing").content


def test_refusals_are_alike(server: EmbeddedServer, ticket: str) -> None:
    wrong = ticket[:-1] + ("0" if ticket[-1] != "0" else "1")
    assert both(server, "GET", f"lease/{wrong}").status_code == 403
    assert both(server, "GET", f"download/0/{wrong}").status_code == 404
    assert both(server, "GET", "lease/").status_code == 404
    assert both(server, "GET", "cgi").status_code == 405
    assert both(server, "POST", f"lease/{ticket}").status_code == 405


def test_the_newest_tickets_are_kept_in_memory(server: EmbeddedServer) -> None:
    tickets = server.system.door.boinc.tickets
    for number in range(1000, 3000):
        tickets.ticket("job", number, "b-1.1", [])
    assert tickets.kept(tickets.name(1000)) is None
    assert tickets.kept(tickets.name(2999)) is not None

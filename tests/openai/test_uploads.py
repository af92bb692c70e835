"""Large and lying uploads: memory stays flat, and what breaks off leaves nothing."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from fallow.settings import Settings
from fallow.wiring import start_embedded
from tests.e2e.house import House, wait_until
from tests.openai.conftest import VERSIONS, drive, key_of

LARGE_BYTES = 300 * 1024 * 1024
GROWTH_BYTES_MAX = 64 * 1024 * 1024
BOUNDARY = "b0undary"


@pytest.fixture(scope="module")
def key(openai_house: House) -> str:
    return key_of(openai_house, "uploader")


@pytest.fixture(scope="module")
def client(openai_house: House, key: str) -> Iterator[httpx2.Client]:
    headers = {"authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=openai_house.url + "/v1", headers=headers, timeout=60) as made:
        yield made


def peak_bytes(house: House) -> int:
    """The most memory that the server has held so far."""
    assert house.server.running is not None
    status = Path(f"/proc/{house.server.running.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def reset_peak(house: House) -> None:
    assert house.server.running is not None
    Path(f"/proc/{house.server.running.pid}/clear_refs").write_text("5")


def test_300_megabytes_in_and_out_with_flat_memory(openai_house: House, key: str, tmp_path: Path) -> None:
    reset_peak(openai_house)
    before = peak_bytes(openai_house)
    done = drive(VERSIONS[-1], openai_house.url + "/v1", key, tmp_path, "three_hundred_megabytes")
    seen = json.loads(done.stdout)["three_hundred_megabytes"]
    assert seen == {"bytes": LARGE_BYTES, "same": True}
    assert peak_bytes(openai_house) - before < GROWTH_BYTES_MAX


def form(*parts: tuple[str, bytes], end: bool = True) -> bytes:
    """A form's body; each part its header's rest and its content."""
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=".encode()
    body = b"".join(head + rest.encode() + b"\r\n\r\n" + content + b"\r\n" for rest, content in parts)
    return body + (f"--{BOUNDARY}--\r\n".encode() if end else b"")


PURPOSE = ('"purpose"', b"batch")
FILE = ('"file"; filename="a.jsonl"', b"{}\n")
MULTIPART = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


def test_fields_may_stand_behind_the_file(client: httpx2.Client) -> None:
    answer = client.post("/files", content=form(FILE, PURPOSE), headers=MULTIPART)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["filename"], answer.json()["purpose"]) == ("a.jsonl", "batch")


@pytest.mark.parametrize(
    ("body", "headers", "param"),
    [
        pytest.param(form(FILE), MULTIPART, "purpose", id="no purpose"),
        pytest.param(form(PURPOSE), MULTIPART, "file", id="no file"),
        pytest.param(form(('"purpose"', b"x"), FILE), MULTIPART, "purpose", id="strange purpose"),
        pytest.param(form(PURPOSE, FILE, FILE), MULTIPART, None, id="two files"),
        pytest.param(form(PURPOSE, FILE, end=False), MULTIPART, None, id="no end"),
        pytest.param(form(PURPOSE, FILE)[:-20], MULTIPART, None, id="cut in the last boundary"),
        pytest.param(b"", MULTIPART, None, id="nothing"),
        pytest.param(b"hello", MULTIPART, None, id="no form"),
        pytest.param(form(PURPOSE, FILE), {"content-type": "multipart/form-data"}, None, id="no boundary"),
        pytest.param(form(PURPOSE, FILE), {"content-type": "application/json"}, None, id="another type"),
        pytest.param(form(PURPOSE, *([('"x"', b"y")] * 40), FILE), MULTIPART, None, id="many parts"),
        pytest.param(form(("x", b"y")).replace(b"name=x", b""), MULTIPART, None, id="a part without a name"),
        pytest.param(form(('"purpose"', b"\xff"), FILE), MULTIPART, None, id="not utf-8"),
        pytest.param(
            form(PURPOSE, ('"expires_after[seconds]"', b"5"), FILE), MULTIPART, "expires_after.seconds", id="too soon"
        ),
        pytest.param(
            form(PURPOSE, ('"expires_after[seconds]"', b"-1"), FILE), MULTIPART, "expires_after.seconds", id="negative"
        ),
        pytest.param(
            form(PURPOSE, ('"expires_after[anchor]"', b"last_active_at"), FILE),
            MULTIPART,
            "expires_after.anchor",
            id="another anchor",
        ),
    ],
)
def test_a_form_that_is_none_is_refused_and_leaves_nothing(
    openai_house: House, client: httpx2.Client, body: bytes, headers: dict[str, str], param: str | None
) -> None:
    before = kept(openai_house)
    answer = client.post("/files", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    assert error["param"] == param
    assert kept(openai_house) == before


def test_a_field_that_is_too_long_is_refused(client: httpx2.Client) -> None:
    answer = client.post("/files", content=form(('"purpose"', b"x" * 20_000), FILE), headers=MULTIPART)
    assert answer.status_code == 413


def test_names_are_plain_and_short(client: httpx2.Client) -> None:
    strange = 'a\u202eb\x07<script>"' + "x" * 400
    answer = client.post("/files", data={"purpose": "batch"}, files={"file": (strange, b"{}")})
    name = answer.json()["filename"]
    assert len(name) <= 255
    assert name.isprintable()


def test_a_length_beyond_all_bounds_is_refused_before_the_body_comes(openai_house: House, key: str) -> None:
    answer = spoken(openai_house, key, 2**40, form(PURPOSE, FILE))
    assert b" 413 " in answer.split(b"\r\n")[0]
    assert b'"type": "invalid_request_error"' in answer


def test_an_upload_that_breaks_off_leaves_nothing(openai_house: House, key: str) -> None:
    before = kept(openai_house)
    body = form(PURPOSE, ('"file"; filename="a"', b"x" * 3_000_000))
    spoken(openai_house, key, len(body) + 1000, body, hang_up=True)
    wait_until("the half file to be gone", lambda: kept(openai_house) == before, 30)


def spoken(house: House, key: str, length: int, body: bytes, *, hang_up: bool = False) -> bytes:
    """A POST by hand, with any Content-Length; what came back."""
    address = urlsplit(house.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as line:
        head = (
            f"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {length}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
        )
        line.sendall(head.encode() + body)
        answer = b""
        while not hang_up and not answer.endswith(b"}}") and (piece := line.recv(65536)):
            answer += piece
        return answer


def kept(house: House) -> list[str]:
    """Files of the object store and its workshop: names of those that belong to uploads."""
    root = house.home / "server"
    found = [*(root / "objects").glob("files+/*/*"), *(root / "tmp").iterdir()]
    return sorted(path.name for path in found)


def test_the_same_bytes_come_back_by_another_address_when_the_operator_wants_it(tmp_path: Path) -> None:
    server = start_embedded(Settings(data_dir=tmp_path, file_redirect_bytes=1000))
    try:
        headers = {"authorization": f"Bearer {server.admin_key}"}
        with httpx2.Client(base_url=server.url + "/v1", headers=headers) as client:
            large, small = (
                client.post("/files", data={"purpose": "batch"}, files={"file": ("f", b"x" * size)}).json()
                for size in (1000, 999)
            )
            sent = client.get(f"/files/{large['id']}/content", follow_redirects=False)
            assert sent.status_code == 302
            assert httpx2.get(sent.headers["location"]).content == b"x" * 1000
            assert client.get(f"/files/{small['id']}/content", follow_redirects=False).status_code == 200
    finally:
        server.stop()

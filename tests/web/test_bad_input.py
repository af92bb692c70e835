"""What no honest client sends: the server answers, keeps its memory, and serves the next one."""

import json
from collections.abc import Iterator

import httpx2
import pytest

from fallow.settings import Settings
from fallow.wiring import start_embedded
from tests.web.conftest import House
from tests.web.raw import Answer, Wire, framed, request

PATIENCE_SECONDS = 2.0
UPLOAD_MAX = 4 * 1024 * 1024
JSON_TYPE = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server that takes small uploads and loses patience soon."""
    folder = tmp_path_factory.mktemp("strict")
    settings = Settings(
        data_dir=folder / "data", client_seconds=PATIENCE_SECONDS, upload_bytes_max=UPLOAD_MAX, allow_process_jobs=True
    )
    server = start_embedded(settings)
    yield House(server, folder)
    server.stop()


@pytest.fixture
def operator(strict: House) -> Iterator[httpx2.Client]:
    with strict.client() as client:
        yield client
        assert client.get("/healthz").status_code == 200  # whatever was sent, it serves the next one


def send(house: House, head: str, body: bytes = b"") -> Answer:
    return request(house.url, head, body, key=house.server.admin_key)


def offset(client: httpx2.Client, name: str) -> int:
    return int(client.head(f"/api/inputs/{name}").headers["upload-offset"])


# ---- uploads


def test_an_upload_that_stops_half_way_is_kept_as_far_as_it_came(strict, operator):
    with Wire(strict.url) as wire:
        head = framed(strict.url, "PUT /api/inputs/half.bin HTTP/1.1\nContent-Length: 1000000", strict.server.admin_key)
        assert wire.send(head + b"x" * 400_000) == len(head) + 400_000
    until(lambda: offset(operator, "half.bin") == 400_000)
    rest = operator.put(
        "/api/inputs/half.bin", content=b"y" * 600_000, headers={"content-range": "bytes 400000-999999/1000000"}
    )
    assert (rest.status_code, rest.json()["size_bytes"]) == (201, 1_000_000)


def until(holds) -> None:
    """Polls a few seconds long for what a thread of the server is about to do."""
    import time

    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_short_upload_that_stops_leaves_nothing(strict, operator):
    with Wire(strict.url) as wire:
        wire.send(framed(strict.url, "PUT /api/inputs/s.bin HTTP/1.1\nContent-Length: 1000", strict.server.admin_key))
        wire.send(b"x" * 10)
    assert offset(operator, "s.bin") == 0


def test_an_upload_that_is_longer_than_it_said_is_cut_where_it_said(strict, operator):
    with Wire(strict.url) as wire:
        wire.send(framed(strict.url, "PUT /api/inputs/l.bin HTTP/1.1\nContent-Length: 10", strict.server.admin_key))
        wire.send(b"0123456789" + b"and more\r\n\r\n")
        first = wire.answer()
        assert first.status in (201, 400)  # 400: what was too much was read first, and is no request
        if first.status == 201:
            assert json.loads(first.body)["size_bytes"] == 10
            assert wire.answer().status in (0, 400)


@pytest.mark.parametrize(
    "lengths",
    [
        "Content-Length: -1",
        "Content-Length: 99999999999999999999999999999999",
        "Content-Length: ten",
        "Content-Length: 1e3",
        "Content-Length: 0x10",
        "Content-Length: 5\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: +5",
        "Content-Length: 5\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunkedd",
        "Transfer-Encoding : chunked",
    ],
)
def test_a_length_that_makes_no_sense_is_no_request(strict, operator, lengths):
    said = send(strict, f"PUT /api/inputs/odd.bin HTTP/1.1\n{lengths}", b"0\r\n\r\n")
    assert said.status in (400, 411, 413, 501), said
    assert offset(operator, "odd.bin") == 0


@pytest.mark.parametrize(
    "body",
    [b"ZZ\r\nabc\r\n", b"FFFFFFFFFFFFFFFFFF\r\nabc", b"-1\r\na\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"\x00\x00\r\n"],
)
def test_chunks_that_are_none_are_no_body(strict, operator, body):
    said = send(strict, "PUT /api/inputs/chunks.bin HTTP/1.1\nTransfer-Encoding: chunked", body)
    assert said.status == 400, said
    assert offset(operator, "chunks.bin") == 0


def test_chunks_that_end_half_way_leave_nothing(strict, operator):
    with Wire(strict.url) as wire:
        head = "PUT /api/inputs/c.bin HTTP/1.1\nTransfer-Encoding: chunked"
        wire.send(framed(strict.url, head, strict.server.admin_key) + b"5\r\nabc")
    assert offset(operator, "c.bin") == 0


def test_an_upload_that_says_it_is_too_large_is_refused_before_its_first_byte(strict, operator):
    with Wire(strict.url) as wire:
        head = f"PUT /api/inputs/big.bin HTTP/1.1\nContent-Length: {5 * 1024**3}"
        wire.send(framed(strict.url, head, strict.server.admin_key))
        said = wire.answer()
        assert (said.status, json.loads(said.body)["error"]["code"]) == (413, "too_large")
        sent = sum(wire.send(b"x" * 1024 * 1024) for _ in range(200))
        assert wire.is_closed()
        assert sent < 64 * 1024 * 1024  # what is in the kernel's buffers beside the little that is still read


def test_an_upload_that_does_not_say_it_is_too_large_is_refused_where_it_becomes_so(strict, operator):
    with Wire(strict.url) as wire:
        head = "PUT /api/inputs/unsaid.bin HTTP/1.1\nTransfer-Encoding: chunked"
        wire.send(framed(strict.url, head, strict.server.admin_key))
        piece = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        sent = 0
        for _ in range(200):
            went = wire.send(piece)
            sent += went
            if went < len(piece):
                break
        assert sent < 64 * 1024 * 1024
        said = wire.answer()
        assert said.status in (0, 413)  # 0: the answer was lost when the kernel dropped what nobody read
    assert offset(operator, "unsaid.bin") == 0


@pytest.mark.parametrize(
    "piece",
    ["bytes 5-1/10", "bytes -1-5/10", "bytes 0-9/5", "bytes a-b/c", "items 0-9/10", "bytes 0-9", "bytes 0-9/-1"],
)
def test_a_piece_that_makes_no_sense_is_refused(operator, piece):
    said = operator.put("/api/inputs/piece.bin", content=b"0123456789", headers={"content-range": piece})
    assert said.status_code in (400, 413), (piece, said.text)


def test_a_piece_that_lies_about_its_length_is_not_kept(operator):
    too_long = operator.put("/api/inputs/p.bin", content=b"x" * 20, headers={"content-range": "bytes 0-9/100"})
    assert too_long.status_code == 400
    ahead = operator.put("/api/inputs/p.bin", content=b"x" * 10, headers={"content-range": "bytes 50-59/100"})
    assert (ahead.status_code, ahead.json()["error"]["code"]) == (409, "offset_conflict")


# ---- slow clients


def test_a_head_that_never_ends_is_cut_off_and_holds_up_nobody(strict, operator):
    wires = [Wire(strict.url) for _ in range(150)]
    for wire in wires:
        wire.send(b"GET /api/jobs HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    assert operator.get("/api/jobs").status_code == 200
    assert all(wire.is_closed() for wire in wires)
    for wire in wires:
        wire.socket.close()


def test_who_says_nothing_is_cut_off(strict, operator):
    with Wire(strict.url) as silent, Wire(strict.url) as newlines:
        newlines.send(b"\r\n")
        assert silent.is_closed()
        assert newlines.is_closed()


def test_a_body_that_drips_is_cut_off(strict, operator):
    with Wire(strict.url) as wire:
        wire.send(
            framed(strict.url, "PUT /api/inputs/drip.bin HTTP/1.1\nContent-Length: 1000", strict.server.admin_key)
        )
        wire.socket.settimeout(0.2)
        for _ in range(100):  # one byte at a time, each within the patience
            if wire.send(b"x") == 0:
                break
            try:
                if wire.socket.recv(1000) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            raise AssertionError("it was served for ever")
    assert offset(operator, "drip.bin") == 0


def test_an_upload_as_slow_as_a_bad_line_is_taken(strict, operator):
    with Wire(strict.url) as wire:
        head = framed(strict.url, "PUT /api/inputs/slow.bin HTTP/1.1\nContent-Length: 20000", strict.server.admin_key)
        wire.send(head)
        wire.socket.settimeout(0.05)
        for _ in range(19):
            wire.send(b"x" * 1000)
            with pytest.raises(TimeoutError):  # nothing to hear yet: the pause between two pieces
                wire.socket.recv(1)
        wire.send(b"x" * 1000)
        wire.socket.settimeout(20)
        assert wire.answer().status == 201


# ---- heads


def test_a_head_of_100_kilobytes_is_refused(strict, operator):
    for head in (
        f"GET /api/jobs HTTP/1.1\nX-Large: {'x' * 100_000}",
        "GET /api/jobs HTTP/1.1\n" + "\n".join(f"X-{n}: {'y' * 100}" for n in range(1000)),
        f"GET /api/jobs?{'a=1&' * 100_000} HTTP/1.1",
        f"GET /{'a' * 200_000} HTTP/1.1",
    ):
        said = send(strict, head)
        assert said.status in (0, 400, 414, 431), said  # 0: closed while we were still talking
    with Wire(strict.url) as endless:
        endless.send(b"GET / HTTP/1.1\r\nX: ")
        sent = sum(endless.send(b"x" * 65536) for _ in range(300))
        assert endless.is_closed()
        assert sent < 16 * 1024 * 1024


def test_many_parameters_within_the_head_are_read(strict, operator):
    said = send(strict, f"GET /api/jobs?{'a=1&' * 10_000} HTTP/1.1")
    assert said.status in (200, 400)


NASTY = [
    "a\r\nX-Injected: yes",
    "a\nSet-Cookie: x=y",
    "a\x00b",
    "..",
    ".",
    "../../etc/passwd",
    "..\\..\\x",
    "%2e%2e%2fetc",
    "a/b",
    "ä.jsonl",
    "\u202egpj.exe",
    "\ud7ff",
    "a" * 5000,
    '"; rm -rf /; "',
    "<script>alert(1)</script>",
    " ",
    "CON",
    "\u2028",
]


@pytest.mark.parametrize("name", NASTY, ids=range(len(NASTY)))
def test_a_nasty_name_reaches_no_header_and_no_path(strict, operator, name):
    from urllib.parse import quote

    for method, path in (
        ("PUT", "/api/inputs/{}"),
        ("HEAD", "/api/inputs/{}"),
        ("GET", "/api/jobs/{}"),
        ("GET", "/api/jobs/x/output/{}"),
        ("GET", "/bytes/{}"),
        ("GET", "/v1/files/{}/content"),
        ("GET", "/{}"),
    ):
        for quoted in (quote(name, safe=""), quote(quote(name, safe=""), safe="")):
            said = send(strict, f"{method} {path.format(quoted)} HTTP/1.1\nContent-Length: 0")
            assert said.status in (200, 201, 307, 400, 401, 403, 404, 405, 413), (method, path, said)
            assert b"x-injected" not in said.head.lower()
            assert b"set-cookie: x" not in said.head.lower()
            assert b"root:" not in said.body


def test_names_in_bodies_reach_no_header(strict, operator):
    for name in NASTY:
        key = operator.post("/api/keys", json={"name": name, "scopes": ["submit"]})
        assert key.status_code in (201, 400), key.text
        job = operator.post("/api/jobs", json={"job_id": name, "name": name, "input_uri": name, "command": [name]})
        assert job.status_code in (400, 403, 413), job.text
        for answer in (key, job):
            assert "x-injected" not in answer.headers
            assert all("Injected" not in value for value in answer.headers.values())


def test_a_request_id_is_never_more_than_an_id(strict, operator):
    for given in ("a" * 1000, "x y z w v u", "<script>", "ä" * 20, "12345678\x01"):
        said = send(strict, f"GET /healthz HTTP/1.1\nX-Request-Id: {given}")
        assert said.status in (200, 400)
        assert said.header("x-request-id") != given


@pytest.mark.parametrize(
    "start",
    [
        "GET /../../etc/passwd HTTP/1.1",
        "GET /api/jobs/../keys HTTP/1.1",
        "GET /api/jobs/%2e%2e/%2e%2e/keys HTTP/1.1",
        "GET /api/jobs/%00 HTTP/1.1",
        "GET //api//jobs HTTP/1.1",
        "GET /%c0%ae%c0%ae/%c0%ae%c0%ae/etc HTTP/1.1",
        "GET /api/jobs/%ff%fe HTTP/1.1",
        "GET /api/jobs/%zz HTTP/1.1",
        "GET http://169.254.169.254/latest HTTP/1.1",
        "GET * HTTP/1.1",
        "CONNECT 127.0.0.1:22 HTTP/1.1",
        "TRACE / HTTP/1.1",
        "BREW /coffee HTTP/1.1",
        "get /api/jobs HTTP/1.1",
        "GET /api/jobs",
        "GET /api/jobs HTTP/3.0",
        "GET  /api/jobs  HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "PRI * HTTP/2.0",
    ],
)
def test_odd_addresses_and_methods(strict, operator, start):
    said = send(strict, start)
    assert said.status < 500, said
    assert said.status not in (200, 201) or b"jobs" in said.body
    assert b"root:" not in said.body


def test_every_call_answers_every_method(strict, operator):
    described = operator.get("/openapi.json").json()["paths"]
    for path in [*described, "/api/work", "/api/work/hello", "/bytes/x", "/healthz", "/metrics", "/"]:
        if path.endswith("/events"):
            continue
        plain = path.replace("{", "").replace("}", "")
        for method in ("OPTIONS", "HEAD", "PATCH", "TRACE", "PUT", "DELETE"):
            said = operator.request(method, plain)
            assert said.status_code < 500, (method, plain, said.text)
            if method == "HEAD":
                assert said.content == b""


# ---- bodies


ODD_BODIES = [
    b"[" * 100_000,
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b'{"input_uri": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    b'{"input_uri": "a", "input_uri": "b"}',
    b'{"priority": NaN, "input_uri": "x"}',
    b'{"priority": Infinity, "input_uri": "x"}',
    b'{"priority": 1e400, "input_uri": "x"}',
    b'{"priority": ' + b"9" * 10_000 + b', "input_uri": "x"}',
    b'{"num_chunks": -9223372036854775809, "input_uri": "x"}',
    b'{"limits": {"memory_bytes": 1' + b"0" * 400 + b'}, "input_uri": "x"}',
    b'{"input_uri": "\\u0000"}',
    b'{"input_uri": "\\ud800\\ud800"}',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b"\x00" * 1000,
    b'{"env": {' + b",".join(b'"%d": "x"' % n for n in range(20_000)) + b'}, "input_uri": "x"}',
    b'{"command": [' + b",".join([b'"x"'] * 50_000) + b'], "input_uri": "x"}',
    b'{"__proto__": {"x": 1}, "constructor": 1, "input_uri": "x"}',
    b'{"input_uri": "x"}{"input_uri": "y"}',
    b"input_uri=x&command=y",
]


@pytest.mark.parametrize("body", ODD_BODIES, ids=range(len(ODD_BODIES)))
def test_odd_bodies_are_refused_by_every_call_that_takes_one(strict, operator, body):
    described = operator.get("/openapi.json").json()["paths"]
    takers = [path for path, verbs in described.items() if "requestBody" in verbs.get("post", {})]
    assert "/api/jobs" in takers
    for path in [*takers, "/api/work", "/api/work/hello"]:
        said = operator.post(path.replace("{", "").replace("}", ""), content=body, headers=JSON_TYPE)
        assert 400 <= said.status_code < 500, (path, body[:60], said.status_code, said.text[:300])


def test_the_kind_of_body_may_be_named_wrongly(operator):
    for kind in ("text/plain", "application/xml", "multipart/form-data", "multipart/form-data; boundary=", "x", "\xff"):
        said = operator.post("/api/jobs", content=b'{"input_uri": 1}', headers={"content-type": kind.encode("latin-1")})
        assert 400 <= said.status_code < 500, (kind, said.text)
    coded = operator.post("/api/jobs", content=b"{}", headers={**JSON_TYPE, "content-encoding": "gzip"})
    assert 400 <= coded.status_code < 500


# ---- keys


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Bearer",
        "Basic YTpi",
        "Bearer flw_",
        "Bearer flw_000000000000_00",
        "Bearer " + "x" * 10_000,
        "Bearer flw_' OR 1=1 --_x",
        "Bearer \xff\xfe",
        "bearer a b c",
        "Digest x",
    ],
)
def test_a_wrong_key_opens_nothing(strict, operator, said):
    headers = {"authorization": said.encode("latin-1")} if said else {}
    described = operator.get("/openapi.json").json()["paths"]
    with httpx2.Client(base_url=strict.url, headers=headers) as stranger:
        for path in ("/api/jobs", "/api/keys", "/api/workers", "/api/jobs/x"):
            answer = stranger.get(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated"), path
            assert answer.headers["www-authenticate"].startswith("Bearer")
        assert "/api/jobs" in described


def test_half_a_key_and_a_changed_key_open_nothing(strict, operator):
    key = strict.server.admin_key
    for wrong in (key[:-1], key + "0", key.upper(), key[:-1] + ("0" if key[-1] != "0" else "1"), key.split("_")[1]):
        with strict.client(wrong) as stranger:
            assert stranger.get("/api/jobs").status_code == 401

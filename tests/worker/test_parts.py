"""The worker's small parts: items, answers, logs, identity, uploads; and that the inner ones need no library."""

import http.server
import json
import stat
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from fallow.control.answers import is_error, is_json
from fallow.core.refusals import Refusal
from fallow.core.words import InputFormat
from fallow.worker.answers import is_error_answer, parse_json
from fallow.worker.assignment import InputExtent
from fallow.worker.engines import tiny
from fallow.worker.identity import KEY_FILE, load_identity
from fallow.worker.items import items_of
from fallow.worker.logs import CappedLog
from fallow.worker.transfer import TransferFailed, send

SOURCE = Path(__file__).parents[2] / "src"


def items(tmp_path, data, form, columns=(), item_bytes=1000):
    path = tmp_path / "extent"
    path.write_bytes(data)
    extent = InputExtent(InputFormat(form), columns=columns)
    return [json.loads(item.refused or item.line) for item in items_of(path, extent, item_bytes)]


def test_text_lines_become_objects(tmp_path):
    found = items(tmp_path, 'one\r\n\n"two"\t \nthr\xe9e'.encode(), "text")
    assert found == [{"text": "one"}, {"text": '"two"\t '}, {"text": "thr\xe9e"}]


def test_csv_records_may_span_lines(tmp_path):
    data = b'1,"a\n\nb"\r\n\n2,"say ""hi"""\n3\n4,"\xff"\n'
    found = items(tmp_path, data, "csv", ("n", "text"))
    assert found[:2] == [{"n": "1", "text": "a\n\nb"}, {"n": "2", "text": 'say "hi"'}]
    assert [each["error"]["code"] for each in found[2:]] == ["not_csv", "not_utf8"]


def test_a_csv_record_that_is_too_long_does_not_take_the_next_with_it(tmp_path):
    data = b'1,"' + b"x" * 2000 + b'"\n2,b\n'
    found = items(tmp_path, data, "csv", ("n", "text"))
    assert found[0]["error"]["code"] == "item_too_large"
    assert found[1] == {"n": "2", "text": "b"}


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize("over", [0, 1, 2, 3])
def test_the_length_limit_is_exact(tmp_path, end, over):
    line = b'"' + b"x" * (98 + over) + b'"'
    found = items(tmp_path, line + end + b"1\n" * bool(end), "jsonl", item_bytes=100)
    assert isinstance(found[0], dict) == (over > 0)
    assert found[1:] == ([1] if end else [])


@given(some.recursive(some.none() | some.booleans() | some.floats() | some.text(), some.lists))
def test_what_the_worker_takes_for_json_the_server_does_too(value):
    line = json.dumps(value).encode()
    try:
        parse_json(line)
    except ValueError:
        assert not is_json(line)
    else:
        assert is_json(line)


@pytest.mark.parametrize(
    "line", [b'"\\ud800"', b"1e999", b"[1e400]", b"1" * 400 + b".5", b"NaN", b"", b"{} {}", b"01", b'"\\ud83d\\ude00"']
)
def test_the_corners_of_json_are_judged_alike(line):
    try:
        parse_json(line)
        taken = True
    except ValueError:
        taken = False
    assert taken == is_json(line)


@pytest.mark.parametrize(
    "line",
    [b'{"error":{}}', b'{ "error" : {"a":1}}', b'{"error":"x"}', b'{"id":1,"error":{}}', b"[]", b'{"error" :{}}'],
)
def test_an_error_line_is_one_for_the_server_too(line):
    assert is_error_answer(line) == is_error(line)


def test_a_log_under_its_cap_is_kept_to_the_byte(tmp_path):
    log = CappedLog(tmp_path / "log", 1000)
    data = bytes(range(256)) * 3
    for start in range(0, len(data), 7):
        log.write(data[start : start + 7])
    log.close()
    assert (tmp_path / "log").read_bytes() == data


def test_a_log_is_read_while_it_grows(tmp_path):
    log = CappedLog(tmp_path / "log", 1000)
    log.write(b"a" * 400)
    assert log.since(0, 9999) == (0, b"a" * 400)
    log.write(b"b" * 300)
    assert log.since(400, 9999) == (400, b"b" * 300)
    assert log.since(450, 100) == (600, b"b" * 100), "only the newest, where it is too much"
    assert log.since(700, 9999) == (700, b"")
    log.close()
    assert log.since(0, 9999) == (0, b""), "from now on it is read whole"


def test_what_was_dropped_of_a_log_is_not_told_either(tmp_path):
    log = CappedLog(tmp_path / "log", 1000)
    for number in range(300):
        log.write(b"%09d\n" % number)
    start, data = log.since(100, 9999)
    assert start % 10 == 0
    assert data == b"".join(b"%09d\n" % number for number in range(start // 10, 300))
    assert 500 <= len(data) <= 510
    log.close()


def test_the_key_is_made_once_and_is_private(tmp_path):
    first, second = load_identity(tmp_path), load_identity(tmp_path)
    assert first.worker_id == second.worker_id
    assert first.worker_id.startswith("w-")
    assert len(first.worker_id) == 18
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_a_damaged_key_is_refused_with_a_remedy(tmp_path):
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(Refusal) as refused:
        load_identity(tmp_path)
    assert refused.value.remedy


def test_the_tiny_program_is_whole():
    for machine in tiny.MACHINES:
        program = tiny.program(machine)
        assert program[:4] == b"\x7fELF"
        assert len(program) < 400


def test_an_upload_that_was_cut_goes_on_where_the_server_says(tmp_path):
    data = bytes(range(256)) * 4000
    path = tmp_path / "artifact"
    path.write_bytes(data)
    kept = bytearray()
    ranges = []

    class Half(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args):
            return

        def do_PUT(self):
            said = self.headers.get("Content-Range")
            ranges.append(said)
            if said is None:
                kept.extend(self.rfile.read(300_000))
                self.connection.close()
                return
            kept.extend(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_HEAD(self):
            self.send_response(200)
            self.send_header("Upload-Offset", str(len(kept)))
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Half) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        send(f"http://127.0.0.1:{server.server_port}/x", path, "text/plain", lambda _: False)
        server.shutdown()
    assert bytes(kept) == data
    assert ranges == [None, f"bytes 300000-{len(data) - 1}/{len(data)}"]


def test_only_the_web_is_opened(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"x")
    with pytest.raises(TransferFailed):
        send("file:///etc/passwd", path, "text/plain", lambda _: False)


def test_what_goes_into_a_zipapp_needs_the_standard_library_only():
    """Slots, engines, contracts, staging and receipts also run where nothing can be installed."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import fallow.worker.slot, fallow.worker.images, fallow.worker.engines.probe, fallow.worker.receipts\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'msgspec', 'httpx2', 'cryptography', 'pydantic', 'rich', 'typer'}))"
    )
    answer = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(SOURCE)], capture_output=True, text=True, check=False
    )
    assert answer.stdout == "[]\n", answer.stderr
    assert msgspec.__version__

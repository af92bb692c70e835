"""One trace follows a chunk through a server's and a worker's process, to a real receiver of OTLP over HTTP."""

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from fallow.core.trace import is_sampled, trace_id, traceparent

SERVER = """
import json, sys
from pathlib import Path
from fallow.settings import load_settings
from fallow.wiring import serve
given = json.loads(sys.argv[1])
given["data_dir"] = Path(given["data_dir"])
serve(load_settings(given), lambda url, key: print(json.dumps([url, key]), flush=True))
"""


class Receiver:
    """spans: name -> (service, span), for each trace."""

    def __init__(self) -> None:
        self.traces: dict[bytes, list[tuple[str, object]]] = {}
        self.lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.take(ExportTraceServiceRequest.FromString(body))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def take(self, request: ExportTraceServiceRequest) -> None:
        with self.lock:
            for each in request.resource_spans:
                service = next(a.value.string_value for a in each.resource.attributes if a.key == "service.name")
                for scope in each.scope_spans:
                    for span in scope.spans:
                        self.traces.setdefault(span.trace_id, []).append((service, span))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.http.shutdown()
    made.http.server_close()


def run_job(folder: Path, **settings: object) -> tuple[str, str]:
    """A server process and a worker process do a job of two chunks, then both end. (job id, the server's log)."""
    given = {"data_dir": str(folder / "data"), "listen": "127.0.0.1:0", "allow_process_jobs": True, **settings}
    log = (folder / "server.log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, json.dumps(given)], stdout=subprocess.PIPE, stderr=log, text=True
    )
    worker = None
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line, (folder / "server.log").read_text()
        url, key = json.loads(line)
        words = ["worker", "--server", url, "--token", key, "--engine", "process", "--allow-process", "--slots", "1"]
        command = [sys.executable, "-m", "fallow", *words, "--data-dir", str(folder / "worker"), "--drain", "5s"]
        worker = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        with httpx2.Client(base_url=url, headers={"authorization": f"Bearer {key}"}) as admin:
            uri = admin.put("/api/inputs/in.jsonl", content=b'{"n":1}\n{"n":2}\n').json()["uri"]
            job = {"input_uri": uri, "input_format": "jsonl", "command": ["sh", "-c", "echo hm >&2; cat"]}
            job_id = admin.post("/api/jobs", json={**job, "chunk_items": 1, "reuse": "never"}).json()["job_id"]
            with admin.stream("GET", f"/api/jobs/{job_id}/events", timeout=90) as events:
                assert "event: over" in list(events.iter_lines())
            assert admin.get(f"/api/jobs/{job_id}").json()["state"] == "completed"
    finally:
        if worker is not None:
            worker.terminate()
            worker.wait(30)
        server.terminate()
        server.wait(30)
        log.close()
        if server.stdout is not None:
            server.stdout.close()
    return job_id, (folder / "server.log").read_text()


def test_one_trace_follows_a_chunk_through_both_processes(receiver, tmp_path):
    job_id, log = run_job(tmp_path, traces=receiver.url)
    assert len(receiver.traces) == 2, log
    for chunk_id in (0, 1):
        spans = receiver.traces[trace_id(job_id, chunk_id).to_bytes(16, "big")]
        by_name = {span.name: (service, span) for service, span in spans}
        assert len(by_name) == len(spans) == 9, sorted(by_name)
        assert {name: by_name[name][0].removeprefix("fallow-") for name in by_name} == {
            **dict.fromkeys(("plan", "queue", "attempt", "report", "verify", "assimilate"), "server"),
            **dict.fromkeys(("stage", "run", "upload"), "worker"),
        }
        names = {span.span_id: span.name for _, span in spans}
        parents = {name: names.get(span.parent_span_id, "") for name, (_, span) in by_name.items()}
        assert parents == {
            "plan": "",
            **dict.fromkeys(("queue", "attempt", "assimilate"), "plan"),
            **dict.fromkeys(("stage", "run", "upload", "report", "verify"), "attempt"),
        }
        assert by_name["plan"][1].parent_span_id == b""
        for span in (span for _, span in by_name.values()):
            assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
        attempt, run = by_name["attempt"][1], by_name["run"][1]
        assert attempt.start_time_unix_nano <= run.start_time_unix_nano
        assert run.end_time_unix_nano <= attempt.end_time_unix_nano


def test_an_endpoint_that_is_away_stops_nothing(tmp_path):
    job_id, log = run_job(tmp_path, traces="http://127.0.0.1:9")
    assert "Traceback" not in log.replace("exception", ""), log[-3000:]
    assert job_id


def test_without_an_endpoint_nothing_of_it_is_imported(tmp_path):
    program = (
        "import sys; from pathlib import Path; from fallow.settings import Settings; from fallow.wiring import build\n"
        "system = build(Settings(data_dir=Path(sys.argv[1]))); system.close()\n"
        "print(sorted(m for m in sys.modules if m.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "data")], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_names_of_traces_are_made_and_not_kept():
    version, trace, span, flags = traceparent("job-1", 7, 31).split("-")
    assert (version, flags, len(trace), len(span)) == ("00", "01", 32, 16)
    assert int(trace, 16) == trace_id("job-1", 7)
    assert traceparent("job-1", 7, 31) != traceparent("job-1", 7, 32)
    assert trace_id("job-1", 7) != trace_id("job-1", 8)


def test_a_share_of_chunks_is_traced_and_always_the_same_ones():
    chosen = {ratio: {n for n in range(2000) if is_sampled("job-1", n, ratio)} for ratio in (0.0, 0.1, 0.5, 1.0)}
    assert chosen[0.0] == set()
    assert chosen[1.0] == set(range(2000))
    assert 120 < len(chosen[0.1]) < 280
    assert chosen[0.1] < chosen[0.5]

"""BOINC scheduler calls per second, and chunks through their whole life, beside BOINC's own server.

A generator, in a process of its own, is N hosts of one account. Each of them reports what it had, asks for as much
again, and does what a client and its runner do between: it fetches tickets and leases, signs receipts over real answers
and uploads them. `1 x 10` is one task of ten chunks a call, as fallow hands them out when chunks are short; `10 x 1` is
ten tasks of one chunk.

The peer's figures are BOINC's (server 8.3.0, FastCGI, tuned, MariaDB with durable commits) on a machine like this one,
with a generator on the same cores and tasks that have no files: dispatched 194/s at 1 and 333/s at 10 a call, whole
life 114/s and 129/s; with an upload of 1 kB for each (CGI) 36/s and 73/s.
"""

import argparse
import base64
import hashlib
import http.client
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.e2e.conftest import write_layout
from tests.servers import postgresql
from tests.worker.tinyimage import busybox_root

from benchmarks import server
from benchmarks.dispatch import _statement
from benchmarks.tables import table
from fallow.core.merkle import root_of
from fallow.core.receipt import PAYLOAD_TYPE, Receipt, pre_authentication
from fallow.protocols.rest.work import Lease

HOSTS = 200
CHUNK_TIME = timedelta(seconds=1)  # that receipts tell: a speed of 0 is taken for not known, and tasks stay small
PEER = {1: (194, 114), 10: (333, 129)}  # chunks a call -> (dispatched, whole life) per second
_RESULT = re.compile(rb"<result>.*?<name>([^<]+)</name>.*?</result>", re.DOTALL)
_TICKET = re.compile(rb"<url>([^<]*/boinc/download/[0-9a-f]+/ticket_[^<]+)</url>")
_ANSWER = re.compile(rb"<name>(answer_[^<]+)</name>")
_ACK = re.compile(rb"<result_ack>")
_HOST = re.compile(rb"<hostid>(\d+)</hostid>")
_KEY = re.compile(rb"<code_sign_key>\s*(.*?)\s*</code_sign_key>", re.DOTALL)
_PADDING = (  # what a real request of 7.20 has besides: about 6 kB, all of it passed over
    "<working_global_preferences>\n<global_preferences>\n"
    + "".join(f"   <preference_{n}>90.000000</preference_{n}>\n" for n in range(50))
    + "</global_preferences>\n</working_global_preferences>\n"
    + "<time_stats>\n    <on_frac>1.000000</on_frac>\n    <active_frac>1.000000</active_frac>\n</time_stats>\n"
)


class Leases(msgspec.Struct):
    leases: list[Lease]


_LEASES = msgspec.json.Decoder(Leases).decode


class Wire:
    """One kept-alive connection."""

    def __init__(self, url: str) -> None:
        self.http = http.client.HTTPConnection(url.removeprefix("http://"), timeout=120)

    def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        self.http.request(method, path, body, headers)
        answer = self.http.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {said[:500]!r}")
        return said


@dataclass(slots=True)
class Host:
    """One simulated client. reports: XML of what it will report. chunks: how many those are."""

    number: int
    key: str
    host_id: int = 0
    seqno: int = 0
    code_key: str = ""
    reports: list[str] = field(default_factory=list)
    chunks: int = 0
    signer: Ed25519PrivateKey = field(init=False)

    def __post_init__(self) -> None:
        # The same key in each process: a host that signs with another one is a new worker that has everything to prove.
        self.signer = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"host %d" % self.number).digest())

    def call(self, wire: Wire, want: int) -> tuple[int, bytes]:
        """(chunks whose reports were taken, the reply)."""
        said = wire.ask("POST", "/boinc/cgi", self.request(want).encode())
        if acks := len(_ACK.findall(said)):
            assert acks == len(self.reports), said[:2000]
        elif self.reports:
            raise RuntimeError(said[:2000].decode())
        done, self.reports, self.chunks = self.chunks, [], 0
        self.seqno += 1
        if found := _HOST.search(said):
            self.host_id = int(found[1])
        if found := _KEY.search(said):
            self.code_key = found[1].decode()
        return done, said

    def request(self, want: int) -> str:
        return f"""<scheduler_request>
    <authenticator>{self.key}</authenticator>
    <hostid>{self.host_id}</hostid>
    <rpc_seqno>{self.seqno}</rpc_seqno>
    <core_client_major_version>7</core_client_major_version>
    <core_client_minor_version>20</core_client_minor_version>
    <core_client_release>5</core_client_release>
    <allow_multiple_clients>1</allow_multiple_clients>
    <work_req_seconds>{float(want)}</work_req_seconds>
    <cpu_req_secs>{float(want)}</cpu_req_secs>
    <cpu_req_instances>{float(want)}</cpu_req_instances>
    <platform_name>x86_64-pc-linux-gnu</platform_name>
    <code_sign_key>
{self.code_key}
</code_sign_key>
{_PADDING}<host_info>
    <domain_name>host{self.number}</domain_name><ip_addr>127.0.0.1</ip_addr><host_cpid>{self.number:032x}</host_cpid>
    <p_ncpus>16</p_ncpus><p_vendor>AuthenticAMD</p_vendor><p_model>AMD EPYC [Family 25 Model 1 Stepping 1]</p_model>
    <p_features>{"fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov " * 15}</p_features>
    <p_fpops>1000000000.0</p_fpops><m_nbytes>64000000000.0</m_nbytes><os_name>Linux Debian</os_name>
</host_info>
<disk_usage><d_project_share>90000000000.0</d_project_share></disk_usage>
{"".join(self.reports)}<other_results>
</other_results>
</scheduler_request>
"""

    def work(self, wire: Wire, reply: bytes) -> int:
        """Runs every task of the reply and uploads its answer; how many tasks."""
        names = [found.decode() for found in _RESULT.findall(reply)]
        tickets = [urlsplit(found.decode()).path for found in _TICKET.findall(reply)]
        answers = [found.decode() for found in dict.fromkeys(_ANSWER.findall(reply))]
        for name, ticket_path, answer_name in zip(names, tickets, answers, strict=True):
            ticket = json.loads(wire.ask("GET", ticket_path))
            leases = _LEASES(wire.ask("GET", urlsplit(ticket["lease_url"]).path)).leases
            data = self.answer(ticket["worker_id"], leases)
            md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
            said = wire.ask("POST", "/boinc/file_upload_handler", _upload(answer_name, data, md5))
            if b"<status>0</status>" not in said:
                raise RuntimeError(said.decode())
            self.reports.append(_report(name, answer_name, len(data), md5))
            self.chunks += len(leases)
        return len(names)

    def answer(self, worker_id: str, leases: list[Lease]) -> bytes:
        public = self.signer.public_key().public_bytes_raw()
        return msgspec.json.encode(
            {
                "answer_version": 1,
                "worker_id": worker_id,
                "public_key": base64.b64encode(public).decode(),
                "engine": "podman 4.3.1",
                "elapsed_seconds": len(leases) * CHUNK_TIME.total_seconds(),
                "answers": [self._one(worker_id, lease) for lease in leases],
            }
        )

    def _one(self, worker_id: str, lease: Lease) -> dict[str, object]:
        lines = [b'{"n":%d}' % (lease.item_start + index) for index in range(lease.item_count)]
        data = b"".join(line + b"\n" for line in lines)
        ended = datetime.now(UTC)
        started = ended - CHUNK_TIME
        receipt = Receipt(
            lease.job_id,
            lease.chunk_id,
            lease.attempt_id,
            worker_id,
            lease.ran,
            lease.contract,
            lease.item_start,
            lease.item_start + lease.item_count - 1,
            0,
            lease.input.sha256,
            lease.artifact_uri,
            hashlib.sha256(data).hexdigest(),
            len(data),
            root_of(lines),
            started.isoformat(),
            ended.isoformat(),
        )
        payload = msgspec.json.encode(_statement(receipt), order="sorted")
        envelope = {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [
                {"keyid": worker_id, "sig": base64.b64encode(self.signer.sign(pre_authentication(payload))).decode()}
            ],
        }
        return {
            "attempt_id": lease.attempt_id,
            "envelope": base64.b64encode(msgspec.json.encode(envelope)).decode(),
            "inline": base64.b64encode(data).decode(),
        }


def _upload(name: str, data: bytes, md5: str) -> bytes:
    head = f"""<data_server_request>
    <core_client_major_version>7</core_client_major_version>
    <core_client_minor_version>20</core_client_minor_version>
    <core_client_release>5</core_client_release>
<file_upload>
<file_info>
<name>{name}</name>
<xml_signature>
</xml_signature>
<max_nbytes>4194304</max_nbytes>
</file_info>
<nbytes>{len(data)}</nbytes>
<md5_cksum>{md5}</md5_cksum>
<offset>0</offset>
<data>
"""
    return head.encode() + data


def _report(name: str, answer_name: str, size: int, md5: str) -> str:
    return f"""<result>
    <name>{name}</name>
    <final_cpu_time>1.000000</final_cpu_time>
    <final_elapsed_time>1.000000</final_elapsed_time>
    <exit_status>0</exit_status>
    <state>5</state>
    <platform>x86_64-pc-linux-gnu</platform>
    <version_num>100</version_num>
<stderr_out>
<core_client_version>7.20.5</core_client_version>
<![CDATA[
<stderr_txt>
two attempts, image present
</stderr_txt>
]]>
</stderr_out>
<file_info>
    <name>{answer_name}</name>
    <nbytes>{size}.000000</nbytes>
    <max_nbytes>4194304.000000</max_nbytes>
    <md5_cksum>{md5}</md5_cksum>
</file_info>
</result>
"""


@dataclass(slots=True)
class Driven:
    """calls: of the scheduler."""

    calls: int = 0
    chunks: int = 0
    seconds: float = 0.0


def drive(url: str, key: str, tasks: int, connections: int) -> Driven:
    """All hosts work until there is nothing left to do."""
    hosts: SimpleQueue[Host] = SimpleQueue()
    for number in range(HOSTS):
        hosts.put(Host(number, key))
    totals = [Driven() for _ in range(connections)]

    def one(total: Driven) -> None:
        wire = Wire(url)
        while True:
            try:
                host = hosts.get_nowait()
            except Empty:
                return
            done, reply = host.call(wire, tasks)
            total.calls += 1
            total.chunks += done
            if host.work(wire, reply):
                hosts.put(host)

    started = time.monotonic()
    threads = [Thread(target=one, args=(total,)) for total in totals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - started
    return Driven(sum(each.calls for each in totals), sum(each.chunks for each in totals), seconds)


@dataclass(frozen=True, slots=True)
class Row:
    """tasks: in a call, of so many chunks each. dispatched, life: chunks per second."""

    database: str
    tasks: int
    chunks: int
    calls: float
    dispatched: float
    life: float


def measure(database: str, tasks: int, chunks: int, total: int, connections: int) -> Row:
    """One cell, on a fresh server."""
    home = Path(tempfile.mkdtemp(prefix="fallow-bench-"))
    with ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, home, ignore_errors=True)
        url = ""
        if database == "postgresql":
            postgres = cleanup.enter_context(postgresql.running())
            url = cleanup.enter_context(postgres.database())
        settings = {
            "FALLOW_BOINC_DAILY_TASKS": "1000000",
            "FALLOW_BOINC_TASK_CHUNKS_MAX": str(chunks),
            "FALLOW_BOINC_TASKS_PER_CALL_MAX": str(tasks),
            "FALLOW_LOG_LEVEL": "warning",
        }
        running = server.start(home, database=url, settings=settings)
        cleanup.callback(running.stop)
        key = str(server.api(running, "GET", "/api/boinc/key")["key"])
        image = write_layout(home / "image", busybox_root())
        if chunks > 1:  # so that the speed of the image is known, and tasks have their full size
            _job(running, home, image, HOSTS)
            drive(running.url, key, 1, connections)
            time.sleep(1)
        started = time.monotonic()
        job = _job(running, home, image, total)
        words = [sys.executable, "-m", "benchmarks.boinc", "--drive", running.url, key, str(tasks), str(connections)]
        driven = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
        while server.api(running, "GET", f"/api/jobs/{job}?chunks=0")["state"] != "completed":
            time.sleep(0.02)
        life = total / (time.monotonic() - started)
        pace = 1 / driven["seconds"]
        return Row(database, tasks, chunks, driven["calls"] * pace, driven["chunks"] * pace, life)


def _job(running: server.Running, home: Path, image: str, chunks: int) -> str:
    """A job of so many chunks of one item, planned."""
    items = home / f"{chunks}.jsonl"
    items.write_bytes(b"".join(b'{"n":%d}\n' % index for index in range(chunks)))
    body = {"input_uri": items.as_uri(), "container_image": image, "chunk_items": 1}
    job = str(server.api(running, "POST", "/api/jobs", body)["job_id"])
    while server.api(running, "GET", f"/api/jobs/{job}?chunks=0")["progress"]["counters"]["items_total"] < chunks:  # type: ignore[index]
        time.sleep(0.02)
    return job


def main(quick: bool = False) -> None:
    total = 2000 if quick else 20_000
    heads = ("database", "tasks x chunks a call", "calls/s", "dispatched/s", "whole life/s", "BOINC's", "times")
    rows = []
    for database in ("sqlite", "postgresql"):
        for tasks, chunks in ((1, 1), (10, 1), (1, 10)):
            rows.append(_shown(measure(database, tasks, chunks, total if tasks * chunks > 1 else total // 4, 4)))
            print(" | ".join(rows[-1]), flush=True)
    print(table(heads, rows))


def _shown(row: Row) -> list[str]:
    dispatched, life = PEER[row.tasks * row.chunks]
    return [
        row.database,
        f"{row.tasks} x {row.chunks}",
        f"{row.calls:,.0f}",
        f"{row.dispatched:,.0f}",
        f"{row.life:,.0f}",
        f"{dispatched}; {life}",
        f"{row.dispatched / dispatched:.1f}; {row.life / life:.1f}",
    ]


def parsed() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--drive", nargs=4)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    if given.drive:
        url, key, tasks, connections = given.drive
        driven = drive(url, key, int(tasks), int(connections))
        print(json.dumps({"calls": driven.calls, "chunks": driven.chunks, "seconds": driven.seconds}))
        return
    main(given.quick)


if __name__ == "__main__":
    parsed()

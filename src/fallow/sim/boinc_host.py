"""A simulated BOINC client with fallow's runner: speaks the wire's bytes. What goes wrong is chosen outside."""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import msgspec

from fallow.core.words import Micros
from fallow.protocols.boinc.xml import Element, escaped, parse
from fallow.protocols.rest import work as wire
from fallow.sim.model import answer_to, asked_of
from fallow.sim.signing import Identity, identity_of, receipt_for, sealed

Ask = Callable[[str, str, bytes], tuple[int, bytes]]  # (method, path and query, body) -> (status, body)
SOME_TIME = Micros(1_700_000_000_000_000)  # for receipts where it does not matter
Answering = Callable[[Sequence[bytes]], list[bytes]]  # a chunk's items -> its answers


@dataclass(frozen=True, slots=True)
class SimTask:
    """A task as the reply describes it."""

    name: str
    deadline: int
    ticket_url: str
    ticket_md5: str
    output_name: str
    output_url: str
    workunit: Element


@dataclass(frozen=True, slots=True)
class Finished:
    """A task that was run: what its next call will report."""

    task: SimTask
    answer: bytes
    exit_status: int = 0
    client_state: int = 5
    stderr: str = ""


@dataclass(slots=True)
class SimHost:
    """One client. seed: of its runner's key. held: tasks that it was sent and did not finish. done: to be reported.

    lists_held: whether it says what it holds, as every client since 5.8 does.
    """

    ask: Ask
    key: str
    seed: bytes
    cpid: str = "c" * 32
    name: str = "machine"
    platform: str = "x86_64-pc-linux-gnu"
    cores: int = 2
    answering: Answering = lambda items: [answer_to(*asked_of(item)) for item in items]
    cpu_seconds: float = 5.0  # of each chunk
    host_id: int = 0
    seqno: int = 0
    code_sign_key: str = ""
    lists_held: bool = True
    extra: str = ""
    allow_multiple: bool = True
    held: dict[str, SimTask] = field(default_factory=dict)
    done: list[Finished] = field(default_factory=list)
    reply: Element = field(default_factory=lambda: Element("scheduler_reply"))

    @property
    def identity(self) -> Identity:
        return identity_of(self.seed)

    def call(self, seconds: float = 0.0, instances: float = 0.0) -> Element:
        """One scheduler call; what follows from the reply is taken over. seconds, instances: of work that it wants."""
        reported = list(self.done)
        status, body = self.ask("POST", "/boinc/cgi", self.request(seconds, instances, reported))
        assert status == 200, body
        self.seqno += 1
        self.reply = parse(body, "scheduler_reply")
        self._take(reported)
        return self.reply

    def request(self, seconds: float, instances: float, reported: Sequence[Finished] = ()) -> bytes:
        """The call's bytes."""
        gone = {each.task.name for each in reported}
        others = "".join(
            f"<other_result><name>{escaped(name)}</name><app_version>0</app_version></other_result>\n"
            for name in self.held
            if name not in gone
        )
        key = f"<code_sign_key>\n{self.code_sign_key}\n</code_sign_key>" if self.code_sign_key else ""
        listed = f"<other_results>\n{others}</other_results>" if self.lists_held else ""
        return f"""<scheduler_request>
    <authenticator>{escaped(self.key)}</authenticator>
    <hostid>{self.host_id}</hostid>
    <rpc_seqno>{self.seqno}</rpc_seqno>
    <core_client_major_version>7</core_client_major_version>
    <core_client_minor_version>20</core_client_minor_version>
    <core_client_release>5</core_client_release>
    <allow_multiple_clients>{int(self.allow_multiple)}</allow_multiple_clients>
    <work_req_seconds>{seconds:f}</work_req_seconds>
    <cpu_req_secs>{seconds:f}</cpu_req_secs>
    <cpu_req_instances>{instances:f}</cpu_req_instances>
    <platform_name>{self.platform}</platform_name>
    {key}
    <host_info>
        <domain_name>{escaped(self.name)}</domain_name><ip_addr>192.0.2.7</ip_addr><host_cpid>{self.cpid}</host_cpid>
        <p_ncpus>{self.cores}</p_ncpus><p_vendor>GenuineIntel</p_vendor><p_model>Xeon [Family 6 Model 85]</p_model>
        <p_fpops>2000000000.0</p_fpops><m_nbytes>16000000000.0</m_nbytes><os_name>Linux Debian</os_name>
    </host_info>
    <disk_usage><d_project_share>20000000000.0</d_project_share></disk_usage>
    {self.extra}
    {"".join(_result(each) for each in reported)}
    {listed}
</scheduler_request>
""".encode()

    def _take(self, reported: Sequence[Finished]) -> None:
        if new_id := self.reply.text_of("hostid"):
            self.host_id, self.seqno = int(new_id), -1  # a client that gets a number counts its calls from 0 again
        if key := self.reply.text_of("code_sign_key"):
            self.code_sign_key = key
        acked = {each.text_of("name") for each in self.reply.all("result_ack")}
        self.done = [each for each in self.done if each.task.name not in acked]
        for each in reported:
            if each.task.name in acked:
                self.held.pop(each.task.name, None)
        for name in (*self.aborted(), *self.aborted("result_abort_if_not_started")):
            self.held.pop(name, None)
        files = {each.text_of("name"): each for each in self.reply.all("file_info")}
        workunits = {each.text_of("name"): each for each in self.reply.all("workunit")}
        for result in self.reply.all("result"):
            task = _task(result, workunits[result.text_of("wu_name")], files)
            self.held[task.name] = task

    def aborted(self, kind: str = "result_abort") -> list[str]:
        return [each.text_of("name") for each in self.reply.all(kind)]

    def messages(self) -> list[str]:
        return [each.text for each in self.reply.all("message")]

    # running, as the runner does

    def ticket(self, task: SimTask) -> dict[str, object]:
        """Downloads the task's input and checks it as the client does."""
        status, body = self.ask("GET", path_of(task.ticket_url), b"")
        assert status == 200, body
        assert hashlib.md5(body, usedforsecurity=False).hexdigest() == task.ticket_md5
        found: dict[str, object] = json.loads(body)
        return found

    def leases(self, task: SimTask) -> list[wire.Lease]:
        """What the runner is told when it starts; none when nothing is wanted any more."""
        status, body = self.ask("GET", path_of(str(self.ticket(task)["lease_url"])), b"")
        if status == 410:
            return []
        assert status == 200, body
        return msgspec.convert(json.loads(body)["leases"], list[wire.Lease])

    def run(self, task: SimTask, now: Micros = SOME_TIME) -> Finished:
        """Computes the task; nothing is uploaded yet."""
        worker_id = str(self.ticket(task)["worker_id"])
        answers = [self.answer(lease, worker_id, now) for lease in self.leases(task)]
        return Finished(task, self.file(worker_id, answers))

    def file(self, worker_id: str, answers: Sequence[dict[str, object]]) -> bytes:
        """answer.json."""
        return json.dumps(
            {
                "answer_version": 1,
                "worker_id": worker_id,
                "public_key": base64.b64encode(self.identity.public_key).decode(),
                "engine": "podman 4.3.1",
                "elapsed_seconds": 1.0,
                "answers": list(answers),
            }
        ).encode()

    def answer(self, lease: wire.Lease, worker_id: str, now: Micros) -> dict[str, object]:
        """One honest entry of answer.json."""
        status, data = self.ask("GET", path_of(lease.input.url), b"")
        assert status in (200, 206), data
        if lease.input.length:
            data = data[lease.input.offset : lease.input.offset + lease.input.length]
        lines = data.splitlines()[lease.input.skip :][: lease.item_count]
        answers = self.answering(lines)
        sha256 = hashlib.sha256(data).hexdigest()
        started = Micros(now - int(self.cpu_seconds * 1e6))
        receipt = receipt_for(lease, answers, worker_id, sha256, lease.artifact_uri, started, now)
        receipt = replace(receipt, cpu_seconds=self.cpu_seconds)
        inline = b"".join(line + b"\n" for line in answers)
        return {
            "attempt_id": lease.attempt_id,
            "envelope": base64.b64encode(sealed(receipt, self.identity)).decode(),
            "inline": base64.b64encode(inline).decode(),
            "failure": None,
            "log_size_bytes": 0,
        }

    def upload(self, finished: Finished, start: int = 0, end: int | None = None) -> Element:
        """Sends the answer's bytes from `start` up to `end`."""
        data = finished.answer
        head = (
            f"<data_server_request>\n<core_client_major_version>7</core_client_major_version>\n<file_upload>\n<file_info>\n"
            f"<name>{finished.task.output_name}</name>\n<xml_signature>\n</xml_signature>\n<max_nbytes>5000000</max_nbytes>\n"
            f"</file_info>\n<nbytes>{len(data)}</nbytes>\n<md5_cksum>{_md5(data)}</md5_cksum>\n<offset>{start}</offset>\n<data>\n"
        ).encode()
        return self._said(finished.task, head + data[start:end])

    def size(self, task: SimTask) -> int:
        """How much the server has of a task's answer."""
        body = f"<data_server_request>\n<get_file_size>{task.output_name}</get_file_size>\n</data_server_request>\n"
        return int(self._said(task, body.encode()).text_of("file_size", "-1"))

    def _said(self, task: SimTask, body: bytes) -> Element:
        status, answer = self.ask("POST", path_of(task.output_url), body)
        assert status == 200, answer
        return parse(answer, "data_server_reply")

    def finish(self, task: SimTask, now: Micros = SOME_TIME) -> Finished:
        """Runs and uploads; the next call reports it."""
        finished = self.run(task, now)
        said = self.upload(finished)
        assert said.text_of("status") == "0", said
        self.done.append(finished)
        return finished

    def work(self, seconds: float = 1000.0) -> int:
        """Asks, runs all that it is given, reports; how many tasks that were."""
        self.call(seconds, 1.0)
        tasks = list(self.held.values())
        for task in tasks:
            self.finish(task)
        if tasks:
            self.call()
        return len(tasks)


def _task(result: Element, workunit: Element, files: dict[str, Element]) -> SimTask:
    ticket = files[_file_of(workunit)]
    output = files[_file_of(result)]
    return SimTask(
        name=result.text_of("name"),
        deadline=int(float(result.text_of("report_deadline"))),
        ticket_url=ticket.text_of("url"),
        ticket_md5=ticket.text_of("md5_cksum"),
        output_name=output.text_of("name"),
        output_url=output.text_of("url"),
        workunit=workunit,
    )


def _file_of(element: Element) -> str:
    reference = element.first("file_ref")
    assert reference is not None, element
    return reference.text_of("file_name")


def _result(finished: Finished) -> str:
    return f"""<result>
    <name>{escaped(finished.task.name)}</name>
    <final_cpu_time>1.0</final_cpu_time>
    <final_elapsed_time>1.5</final_elapsed_time>
    <exit_status>{finished.exit_status}</exit_status>
    <state>{finished.client_state}</state>
<stderr_out>
<core_client_version>7.20.5</core_client_version>
<![CDATA[
<stderr_txt>
{finished.stderr}
</stderr_txt>
]]>
</stderr_out>
<file_info>
    <name>{finished.task.output_name}</name>
    <nbytes>{len(finished.answer)}.000000</nbytes>
    <md5_cksum>{_md5(finished.answer)}</md5_cksum>
</file_info>
</result>
"""


def path_of(url: str) -> str:
    """Without the host: who drives the simulation is the network."""
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()

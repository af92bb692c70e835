"""What strangers, liars and broken clients send to the real door: answered, bounded, and only theirs changes."""

import contextlib
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fallow.control.boinc.uploads import ANSWER_BYTES_MAX, ROW_BYTES_MAX
from fallow.core.words import AttemptState, JobState
from fallow.sim.boinc_host import Finished, SimHost, SimTask
from tests.boinc.project import Project
from tests.boinc.test_calls import finish_all
from tests.protocols.boinc.recordings import CALLS, UPLOADS, call, upload

RECORDED_KEY = b"b44b61213c2ca84d7f21f7536fd0898b"
CGI, UPLOAD, SUBMIT = "/boinc/cgi", "/boinc/file_upload_handler", "/boinc/submit_rpc_handler.php"
OUTSIDE = (
    *("%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd", "%2e%2e/%2e%2e/secret", "%2e%2e", "....//", "a%00b", "%ff%fe"),
    *("%2fetc%2fpasswd", "..%5c..%5cetc%5cpasswd", "~root"),
)


def rows(project: Project) -> dict[str, Any]:
    """All that a call could change."""

    def seen(tx: Any) -> dict[str, Any]:
        hosts = [host for account in ("ada", "bob", "operators") for host in tx.hosts_of(account, 1000)]
        return {
            "hosts": hosts,
            "workers": [(row.worker_id, row.public_key, row.label) for row in tx.workers()],
            "sent": [row for host in hosts for row in tx.results_sent(host.host_id)],
            "uploads": [tx.answer_upload(number) for number in range(1, 20)],
            "jobs": [(job.job_id, job.state, job.counters) for job in tx.jobs(account_id=None, before=None, limit=100)],
        }

    return {**project.read(seen), "objects": sorted(each.key for each in project.system.places.artifacts.list("boinc"))}


def ask(project: Project, path: str, body: bytes) -> bytes:
    """What is answered: always 200 and BOINC's XML."""
    status, answer = project.ask("POST", path, body)
    assert status == 200, (status, body[:200], answer[:200])
    return answer


def one_task(host: SimHost) -> SimTask:
    host.call(1.0, 1.0)
    [task] = host.held.values()
    return task


@contextlib.contextmanager
def memory_peak(bytes_max: int) -> Iterator[None]:
    """What is allocated inside stays below. In Python's own allocations, so that other tests do not matter."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < bytes_max
    finally:
        tracemalloc.stop()


# recorded requests, cut


def test_calls_cut_anywhere_change_nothing(project: Project) -> None:
    key = project.system.door.people.boinc_users.authenticator_of("ada").encode()
    before = rows(project)
    for name in CALLS:
        body = call(name).replace(RECORDED_KEY, key)
        end = body.find(b"</scheduler_request>")
        step = max(1, len(body) // 60)
        for cut in range(0, end if end >= 0 else len(body), step):
            answer = ask(project, CGI, body[:cut])
            assert answer.startswith(b"<scheduler_reply>"), answer[:100]
            assert answer.endswith(b"</scheduler_reply>\n")
            assert b"Error in request message" in answer, (name, cut, answer)
    assert rows(project) == before


@pytest.mark.parametrize("name", UPLOADS)
def test_uploads_cut_anywhere_change_nothing(project: Project, name: str) -> None:
    before = rows(project)
    body = upload(name)
    for cut in range(0, len(body), max(1, len(body) // 80)):
        assert b"<status>-1</status>" in ask(project, UPLOAD, body[:cut]), (name, cut)
    assert rows(project) == before


def test_an_upload_of_ours_cut_anywhere_is_a_part_or_refused(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    done = ada.run(one_task(ada), project.clock.now())
    sent: list[bytes] = []

    def kept(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        sent.append(body)
        return project.ask(method, path, body)

    ada.ask = kept
    ada.upload(done)
    [body] = sent
    for cut in range(0, len(body) - 1, max(1, len(body) // 150)):
        ask(project, UPLOAD, body[:cut])
    ada.ask = project.ask
    assert ada.upload(done).text_of("status") == "0"
    ada.done.append(done)
    ada.call()
    project.settle()
    assert project.state("job-1") is JobState.COMPLETED


def test_submit_calls_cut_anywhere_change_nothing(project: Project) -> None:
    before = rows(project)
    said = f"<query_batches><authenticator>{project.key}</authenticator></query_batches>"
    body = b"request=" + said.encode().replace(b"<", b"%3C").replace(b">", b"%3E")
    for cut in range(len(body)):
        assert b"<error_num>" in ask(project, SUBMIT, body[:cut])
    assert rows(project) == before


# who is who


def test_a_task_of_somebody_else_is_acknowledged_and_nothing_else(project: Project) -> None:
    """Names of tasks can be guessed: they hold a job's id and a number."""
    project.account("bob")
    project.submit("job-1", items=10)
    ada, bob = project.host("laptop", "ada"), project.host("desk", "bob")
    task = one_task(ada)
    ada.upload(ada.run(task, project.clock.now()))
    bob.call()
    before = rows(project)
    for state, status in ((5, 0), (6, 203), (3, 1)):
        forged = Finished(task, b"{}", exit_status=status, client_state=state, stderr='fallow-failure {"code":"x"}')
        bob.done.append(forged)
        reply = bob.call()
        assert [each.text_of("name") for each in reply.all("result_ack")] == [task.name]
        bob.done.clear()
    after = rows(project)
    assert {**after, "hosts": None} == {**before, "hosts": None}
    finish_all(ada, project)
    assert project.counts("job-1") == {AttemptState.VALID: 1}


def test_nobody_removes_somebody_elses_upload(project: Project) -> None:
    """A report of a large file frees its place: only when the task was the reporter's own."""
    project.account("bob")
    project.submit("job-1", items=10)
    ada, bob = project.host("laptop", "ada"), project.host("desk", "bob")
    done = padded(ada.run(one_task(ada), project.clock.now()))
    ada.upload(done)
    bob.done.append(done)
    bob.call()
    ada.done.append(done)
    ada.call()
    project.settle()
    assert project.state("job-1") is JobState.COMPLETED
    assert not list(project.system.places.artifacts.list("boinc/upload")), "its own report does"


def padded(done: Finished) -> Finished:
    """The same answer, so large that it is no row."""
    return Finished(done.task, done.answer + b" " * ROW_BYTES_MAX)


def test_a_task_held_by_somebody_else_is_aborted_and_stays_whose_it_is(project: Project) -> None:
    project.account("bob")
    project.submit("job-1", items=10)
    ada, bob = project.host("laptop", "ada"), project.host("desk", "bob")
    task = one_task(ada)
    bob.held[task.name] = task
    bob.call()
    assert bob.aborted() == [task.name]
    finish_all(ada, project)
    assert project.counts("job-1") == {AttemptState.VALID: 1}


def test_a_double_report_counts_once(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    task = one_task(ada)
    project.clock.advance(20)
    done = ada.finish(task, project.clock.now())
    ada.done += [done, done]
    ada.call()
    project.settle()
    [host] = project.read(lambda tx: tx.hosts_of("ada", 10))
    for finished in (done, Finished(done.task, b"", exit_status=1, client_state=3), done):
        ada.done.append(finished)
        reply = ada.call()
        assert [each.text_of("name") for each in reply.all("result_ack")] == [done.task.name]
        project.settle()
    [again] = project.read(lambda tx: tx.hosts_of("ada", 10))
    assert again.earned == host.earned
    assert host.earned.total > 0
    assert project.counts("job-1") == {AttemptState.VALID: 1}


@pytest.mark.parametrize(
    "name",
    [
        *("never-ours", "job-1_r999999999999999_0", "job-1_r1_1", "../../x_r1_0", "x" * 5000),
        *("<b>&amp;", "\x00", "", "é_r2_0"),
    ],
)
def test_a_report_of_an_unknown_name_is_acknowledged(project: Project, name: str) -> None:
    ada = project.host("laptop", "ada")
    ada.call()
    before = rows(project)
    ada.extra = f"<result><name>{name}</name><state>5</state><exit_status>0</exit_status></result>"
    reply = ada.call()
    assert len(reply.all("result_ack")) == 1
    assert {**rows(project), "hosts": None} == {**before, "hosts": None}


def test_host_ids_that_cannot_be_are_nobodys(project: Project) -> None:
    for said in ("-1", "0", "9" * 30, "1e300", "nan", "1.5", "0x1", "'; --", "9007199254740992"):
        ada = project.host("laptop", "ada")
        body = ada.request(0, 0).replace(b"<hostid>0</hostid>", f"<hostid>{said}</hostid>".encode())
        assert b"<userid>" in ask(project, CGI, body)
    assert len(project.read(lambda tx: tx.hosts_of("ada", 100))) == 1


# names of files


def test_no_name_leads_out(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    task = one_task(ada)
    folder, _, ticket = task.ticket_url.partition("/boinc/download/")[2].partition("/")
    near = (f"%2e%2e/{folder}/{ticket}", ticket + "%00", ticket[:-1] + "g", ticket.replace("ticket", "answer"))
    for name in (*OUTSIDE, *near):
        for path in (
            *(f"/boinc/download/{name}", f"/boinc/download/{folder}/{name}", f"/boinc/download/{name}/{ticket}"),
            *(f"/boinc/lease/{name}", f"/boinc/image/{name}", f"/boinc/stats/{name}"),
            *(f"/boinc/get_output{n}.php?cmd=result_file&result_name={name}&file_num=0&auth_str=x" for n in ("", 2, 3)),
            f"/boinc/get_output.php?cmd=workunit_file&wu_name={name}&auth_str={ada.key}",
            f"/boinc/get_output.php?cmd=batch_files&batch_id={name}&auth_str=x",
        ):
            status, body = project.ask("GET", path, b"")
            assert 400 <= status < 500, (path, status, body)
            assert b"root:" not in body
            assert ada.key.encode() not in body


def test_one_tickets_token_opens_no_other_task(project: Project) -> None:
    project.submit("job-1", items=40)
    ada, bob = project.host("laptop", "ada"), project.host("desk", "operators")
    mine, other = one_task(ada), one_task(bob)
    token = mine.output_name.rpartition("_")[2]
    number = other.output_name.split("_")[1]
    for kind in ("lease", "image"):
        assert project.ask("GET", f"/boinc/{kind}/ticket_{number}_{token}", b"")[0] == 403
        assert project.ask("GET", f"/boinc/{kind}/answer_{number}_{token}", b"")[0] == 403


def test_a_ticket_opens_nothing_when_its_task_is_over(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    task = one_task(ada)
    said = ada.ticket(task)
    urls = [str(said[name]).removeprefix("http://testserver") for name in ("lease_url", "image_url")]
    assert [project.ask("GET", url, b"")[0] for url in urls] == [200, 200]
    ada.finish(task, project.clock.now())
    ada.call()
    assert [project.ask("GET", url, b"")[0] for url in urls] == [410, 410]


def test_a_ticket_of_a_machine_that_vanished_opens_no_image(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    said = ada.ticket(one_task(ada))
    project.pass_time(40 * 86_400)
    lease, image = (str(said[name]).removeprefix("http://testserver") for name in ("lease_url", "image_url"))
    assert project.ask("GET", lease, b"") == (200, b'{"leases":[]}')
    assert project.ask("GET", image, b"")[0] == 410


# uploads


def head(task: SimTask, nbytes: Any, offset: Any, md5: str = "0" * 32) -> bytes:
    return (
        f"<data_server_request>\n<file_upload>\n<file_info>\n<name>{task.output_name}</name>\n"
        f"<max_nbytes>99999999999</max_nbytes>\n</file_info>\n<nbytes>{nbytes}</nbytes>\n<md5_cksum>{md5}</md5_cksum>\n"
        f"<offset>{offset}</offset>\n<data>\n"
    ).encode()


@pytest.mark.parametrize(
    ("nbytes", "offset", "data"),
    [
        (10, -1, b"x"),
        (10, 11, b"x"),
        (10, "1e3", b"x"),
        (10, "9" * 40, b"x"),
        ("nan", 0, b"x"),
        (-5, 0, b"x"),
        (2**60, 0, b"x"),
        (ANSWER_BYTES_MAX + 1, ANSWER_BYTES_MAX, b"x"),
        (10, 5, b"x" * 6),
        (0, 0, b"x"),
    ],
)
def test_sizes_and_offsets_that_lie_are_refused(project: Project, nbytes: Any, offset: Any, data: bytes) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    task = one_task(ada)
    assert b"<status>-1</status>" in ask(project, UPLOAD, head(task, nbytes, offset) + data)
    assert ada.size(task) == 0
    finish_all(ada, project)
    assert project.state("job-1") is JobState.COMPLETED


def test_parts_are_no_heap(project: Project) -> None:
    """Ten thousand parts of a byte take no more places than a few."""
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    task = one_task(ada)
    for offset in range(200):
        ask(project, UPLOAD, head(task, 1000, offset) + b"x")
        assert len(list(project.system.places.artifacts.list("boinc/parts"))) <= 64
    finish_all(ada, project)
    assert project.state("job-1") is JobState.COMPLETED


# too much


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'


def test_entities_are_never_defined(project: Project) -> None:
    ada = project.host("laptop", "ada")
    request = ada.request(0, 0).replace(ada.name.encode(), b"&b;")
    assert b"<userid>" in ask(project, CGI, BOMB + request)
    [worker] = [row for row in project.read(lambda tx: tx.workers()) if row.worker_id.startswith("b-")]
    assert worker.name == "&b;"
    asked = BOMB + b"<data_server_request><get_file_size>&b;</get_file_size></data_server_request>"
    assert b"<status>-1</status>" in ask(project, UPLOAD, asked)
    assert b"document type" in ask(project, SUBMIT, b"request=" + BOMB.replace(b"&", b"%26").replace(b";", b"%3B"))


@pytest.mark.parametrize("path", [CGI, UPLOAD, SUBMIT])
@pytest.mark.parametrize("content", [b"x", b"<a>", b"<result><name>a</name></result>", b"&#1;", b"<!--"])
def test_50_megabytes_are_refused_in_bounded_memory(project: Project, path: str, content: bytes) -> None:
    before = rows(project)
    pieces = [content * (65536 // len(content))] * 800

    def body() -> Iterator[bytes]:
        yield b"<scheduler_request>" if path == CGI else b"request=" if path == SUBMIT else b"<data_server_request>"
        yield from pieces

    with memory_peak(200 << 20):
        answer = project.http.post(path, content=body())
    assert answer.status_code == 200
    assert b"larger" in answer.content, answer.content
    assert rows(project) == before


def test_a_large_call_is_read_in_bounded_memory(project: Project) -> None:
    for piece in (b"<a>", b"<a/>", b"<result/>", b"<a b>", b"<![CDATA[]]>", b"&amp;", b"<other_results><name>"):
        body = b"<scheduler_request>" + piece * ((15 << 20) // len(piece)) + b"</scheduler_request>"
        with memory_peak(250 << 20):
            ask(project, CGI, body)


def test_strangers_build_no_large_trees(project: Project) -> None:
    """Who has no key makes the server hold little more than what was sent."""
    for key in ("", "<authenticator>" + "0" * 32 + "</authenticator>"):
        body = f"request=<submit_batch>{key}" + "<b/>" * 900_000 + "</submit_batch>"
        with memory_peak(64 << 20):
            answer = ask(project, SUBMIT, body.encode())
        assert b"bad authenticator" in answer


def test_ten_thousand_reports_in_one_call(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    done = ada.finish(one_task(ada), project.clock.now())
    ada.done.clear()
    names = [f"job-1_r{n}_0" for n in range(10, 10_010)]
    ada.done += [*(Finished(replace(done.task, name=name), b"") for name in names), done]
    acked = 0
    for _ in range(20):
        acked += len(ada.call().all("result_ack"))
        if not ada.done:
            break
    assert acked == 10_001
    project.settle()
    assert project.state("job-1") is JobState.COMPLETED, "what was not read at first was not lost"
    assert project.counts("job-1") == {AttemptState.VALID: 1}


def test_a_hundred_thousand_held_names(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    task = one_task(ada)
    names = "".join(f"<other_result><name>job-1_r{n}_0</name></other_result>" for n in range(2, 100_000))
    ada.extra = f"<other_results>{names}<other_result><name>{task.name}</name></other_result></other_results>"
    ada.lists_held = False
    reply = ask(project, CGI, ada.request(0, 0))
    assert reply.count(b"<result_abort>") == 99_998
    assert task.name.encode() + b"<" not in reply
    ada.extra, ada.lists_held, ada.seqno = "", True, 10
    assert list(ada.held) == [task.name]
    finish_all(ada, project)
    assert project.state("job-1") is JobState.COMPLETED


@pytest.mark.parametrize("cores", [10**9, 65536])
def test_a_machine_that_claims_many_processors_gets_no_whole_project(project: Project, cores: int) -> None:
    project.submit("job-1", items=2000, chunk_items=1)
    ada = project.host("laptop", "ada", cores=cores)
    ada.call(1e9, 65536.0)
    assert 0 < len(ada.held) <= 640


def test_a_machine_with_accelerators_without_number_is_a_small_row(project: Project) -> None:
    one = "<coproc_cuda><name>" + "x" * 200 + "</name><count>1000000</count></coproc_cuda>"
    ada = project.host("laptop", "ada", extra=f"<coprocs>{one * 1000}</coprocs>")
    ada.call()
    [worker] = [row for row in project.read(lambda tx: tx.workers()) if row.worker_id.startswith("b-")]
    assert len(worker.capability) < 32_000


def test_machines_without_number(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """One account makes only so many new machines a day."""
    monkeypatch.setattr("fallow.control.boinc.hosts.NEW_HOSTS_DAILY", 20)
    for n in range(30):
        project.host("laptop", "ada", cpid=f"{n:032x}").call()
    assert len(project.read(lambda tx: tx.hosts_of("ada", 100))) == 20
    late = project.host("laptop", "ada", cpid="f" * 32)
    reply = late.call()
    assert any("machines" in each for each in late.messages())
    assert float(reply.text_of("request_delay")) >= 3600
    project.pass_time(86_400 + 60)
    assert late.call().text_of("hostid")


# clocks


@pytest.mark.parametrize("now", ["-1", "0", "1e300", "nan", "99999999999", "4102444800"])
def test_a_clock_years_off(project: Project, now: str) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada", extra=f"<time_stats><now>{now}</now><on_frac>{now}</on_frac></time_stats>")
    task = one_task(ada)
    assert project.clock.now() / 1e6 < task.deadline < project.clock.now() / 1e6 + 31 * 86_400
    ada.finish(task)  # its receipt is of another year, too
    ada.call()
    project.settle()
    assert project.state("job-1") is JobState.COMPLETED
    [host] = project.read(lambda tx: tx.hosts_of("ada", 10))
    assert 0 <= host.earned.total < 1000


# keys


def test_no_key_is_in_a_reply_or_the_log(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    key = project.system.door.people.boinc_users.authenticator_of("ada")
    answers = [
        project.ask("GET", f"/boinc/am_get_info.php?account_key={key}", b""),
        project.ask("GET", f"/boinc/get_output.php?cmd=workunit_file&wu_name=x&auth_str={key}", b""),
        project.ask("GET", f"/boinc/nowhere?auth={key}", b""),
        project.ask("GET", f"/boinc/lease/{key}", b""),
        project.ask("POST", SUBMIT, f"request=<ping><authenticator>{key}</authenticator>".encode()),
        project.ask("POST", CGI, project.host("laptop", "ada").request(0, 0)),
        project.ask("POST", CGI, project.host("laptop", "ada").request(0, 0)[:-30]),
    ]
    for status, body in answers:
        assert status < 500
        assert key.encode() not in body
    said = capsys.readouterr()
    assert key not in said.out + said.err

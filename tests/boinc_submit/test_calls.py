"""What the recordings do not show: the other calls, other ways to say the same, and refusals."""

import hashlib

import httpx2
import pytest

from tests.boinc_submit.conftest import RECORDED_AT, Project, stage_templates
from tests.boinc_submit.recorded import TEMPLATE_IN, TEMPLATE_OUT, elements, recorded
from tests.boinc_submit.script import Script

APP = "<app_name>shtest</app_name>"


def job(name: str, *, more: str = "", file: str = "<mode>inline</mode><source>x</source>") -> str:
    named = f"<name>{name}</name>" if name else ""
    return f"<job>{named}{more}<input_file>{file}</input_file></job>"


def submitted(script: Script, *jobs: str, more: str = "") -> int:
    root = script.call("submit_batch", f"<batch>{APP}{more}{''.join(jobs)}</batch>")
    assert root.find("error") is None, root.findtext("error/error_msg")
    return int(root.findtext("batch_id", "0"))


@pytest.fixture
def alice(project: Project) -> Script:
    stage_templates(project.alice)
    return project.alice


def test_both_kinds_of_forms_and_double_slashes_are_taken(alice: Script) -> None:
    wanted = elements(recorded("boinc_submit_10_bad_auth").reply)
    request = recorded("boinc_submit_10_bad_auth").request
    multipart = httpx2.post(f"{alice.url}/submit_rpc_handler.php", files={"request": (None, request)}, timeout=60)
    plain = httpx2.post(f"{alice.url}/submit_rpc_handler.php", data={"request": request.decode()}, timeout=60)
    assert elements(multipart.content) == elements(plain.content) == wanted


def test_ping_needs_no_key_and_refuses_a_wrong_one(alice: Script) -> None:
    bare = httpx2.post(f"{alice.url}submit_rpc_handler.php", data={"request": "<ping/>"}, timeout=60)
    assert elements(bare.content) == [("ping", ""), ("ping/success", "1")]
    assert Script(alice.url, "0" * 32).error_of("ping") == (-1, "bad authenticator")


def test_a_key_that_only_computes_submits_nothing(project: Project, alice: Script) -> None:
    with project.system.store.reading() as tx:
        user = tx.boinc_user("alice")
    assert user is not None
    weak = Script(alice.url, project.system.door.people.boinc_users.weak_key_of(user))
    number, message = weak.error_of("submit_batch", f"<batch>{APP}{job('w_0')}</batch>")
    assert number == -1
    assert "may not do that" in message


def test_grants_are_asked(project: Project, alice: Script) -> None:
    project.api("PATCH", "/api/accounts/alice", {"submit_right": "granted"})
    assert "may not submit" in alice.error_of("create_batch", APP)[1]
    project.api("POST", "/api/accounts/alice/grants", {"application": "shtest"})
    assert alice.call("create_batch", APP).findtext("batch_id") == "1"


def test_calls_that_there_are_not(alice: Script) -> None:
    assert alice.error_of("drop_tables") == (-1, "no such call: drop_tables")


def test_a_job_without_a_name_gets_one_and_taken_names_are_refused(alice: Script) -> None:
    batch_id = submitted(alice, job("n_0"), job(""))
    names = [each.findtext("name", "") for each in alice.call("query_batch", _id(batch_id)).findall("job")]
    assert names[0] == "n_0"
    assert names[1].startswith("shtest_")
    taken = (-1, "create_work failed: job name n_0 is taken")
    assert alice.error_of("submit_batch", f"<batch>{APP}{job('other')}{job('n_0')}</batch>") == taken
    assert alice.error_of("submit_batch", f"<batch>{APP}{job('twice')}{job('twice')}</batch>") == (
        -1,
        "create_work failed: job name twice is taken",
    )
    assert len(alice.call("query_batches").findall("batch")) == 1


def test_names_are_each_accounts_own(project: Project, alice: Script) -> None:
    bob = project.script("bob")
    stage_templates(bob)
    submitted(alice, job("same"))
    theirs = submitted(bob, job("same"))
    for call, inner in (
        ("query_batch", _id(theirs)),
        ("abort_batch", _id(theirs)),
        ("retire_batch", _id(theirs)),
        ("set_expire_time", _id(theirs) + "<expire_time>1</expire_time>"),
        ("query_batch2", "<batch_name>none</batch_name>"),
    ):
        assert alice.error_of(call, inner) == (-1, "no such batch")
    assert alice.error_of("submit_batch", f"<batch>{APP}<batch_id>{theirs}</batch_id>{job('x')}</batch>") == (
        -1,
        f"no batch {theirs}",
    )
    assert alice.error_of("query_batch") == (-1, "no batch specified")


def test_a_batch_takes_jobs_once(alice: Script) -> None:
    made = alice.call("create_batch", f"{APP}<batch_name>b</batch_name>").findtext("batch_id")
    into = f"<batch>{APP}<batch_id>{made}</batch_id>"
    assert alice.call("submit_batch", f"{into}{job('a')}</batch>").findtext("batch_id") == made
    assert alice.error_of("submit_batch", f"{into}{job('b')}</batch>") == (-1, "batch is not in init state")


def test_a_batch_that_is_aborted_before_it_has_jobs_gets_none(alice: Script) -> None:
    made = alice.call("create_batch", f"{APP}<batch_name>b</batch_name>").findtext("batch_id", "")
    assert alice.call("abort_batch", _id(int(made))).findtext("success") == "1"
    assert alice.call("query_batch", _id(int(made))).findtext("state") == "3"
    into = f"<batch>{APP}<batch_id>{made}</batch_id>"
    assert alice.error_of("submit_batch", f"{into}{job('b')}</batch>") == (-1, "batch is not in init state")
    assert alice.call("retire_batch", "<batch_name>b</batch_name>").findtext("success") == "1"
    assert alice.call("query_batch", "<batch_name>b</batch_name>").findtext("state") == "4"


@pytest.mark.parametrize("mode", ["local", "semilocal", "sandbox"])
def test_files_on_the_servers_disk_are_refused(alice: Script, mode: str) -> None:
    bad = job("l_0", file=f"<mode>{mode}</mode><source>/etc/passwd</source>")
    number, message = alice.error_of("submit_batch", f"<batch>{APP}{bad}</batch>")
    assert number == -1
    assert f"of mode {mode} are not taken" in message


@pytest.mark.parametrize(
    "file",
    [
        "<mode>remote</mode><url>file:///etc/passwd</url><nbytes>1</nbytes><md5>" + "0" * 32 + "</md5>",
        "<mode>remote</mode><url>http://example.org/x</url><nbytes>1</nbytes>",
        "<mode>remote</mode><url>http://example.org/x</url><md5>" + "0" * 32 + "</md5>",
        "<mode>magic</mode><source>x</source>",
        "<mode>local_staged</mode><source>../../etc/passwd</source>",
    ],
)
def test_files_that_cannot_be_are_refused(alice: Script, file: str) -> None:
    assert alice.error_of("submit_batch", f"<batch>{APP}{job('r_0', file=file)}</batch>")[0] == -1


def test_the_number_of_files_is_that_of_the_template(alice: Script) -> None:
    two = "<input_file><mode>inline</mode><source>x</source></input_file>"
    assert alice.error_of("submit_batch", f"<batch>{APP}{job('f_0', more=two)}</batch>") == (
        -1,
        "wrong number of input files for job f_0: need 1, got 2",
    )


def test_jobs_for_one_host_are_refused(alice: Script) -> None:
    bad = job("t_0", more="<target_host>1</target_host>")
    assert "cannot be kept to a host" in alice.error_of("submit_batch", f"<batch>{APP}{bad}</batch>")[1]


def test_templates_come_in_four_ways(project: Project, alice: Script) -> None:
    """The application's own, named ones, literal ones, and those of who added the application."""
    literal = TEMPLATE_IN.replace(">in<", ">given<") + TEMPLATE_OUT
    submitted(alice, job("literal_0", more=literal))
    alice.upload({"mine": TEMPLATE_IN.encode(), "mine_out": TEMPLATE_OUT.encode()})
    named = "<input_template_filename>mine</input_template_filename>"
    submitted(alice, job("named_0"), more=named + "<output_template_filename>mine_out</output_template_filename>")
    bob = project.script("bob")
    refused = bob.error_of("submit_batch", f"<batch>{APP}{job('b_0')}</batch>")
    assert refused == (-1, "couldn't parse input template file templates/shtest_in: it is not there")
    stage_templates(Script(alice.url, project.key_of("operators")))
    submitted(bob, job("b_0"))
    texts = bob.call("get_templates", APP)
    assert texts.findtext("templates/input_template/workunit/file_ref/open_name") == "in"
    assert texts.findtext("templates/output_template/result/file_ref/open_name") == "out"
    of_job = bob.call("get_templates", "<job_name>b_0</job_name>")
    assert of_job.findtext("templates/output_template/result/file_ref/open_name") == "out"


def test_a_template_of_somebody_else_opens_no_files_of_the_operator(project: Project, alice: Script) -> None:
    Script(alice.url, project.key_of("operators")).upload({"private": b"secret"})
    literal = TEMPLATE_IN.replace(
        "<file_info></file_info>", "<file_info><physical_name>private</physical_name></file_info>"
    )
    bad = f"<job><name>p_0</name>{literal}{TEMPLATE_OUT}</job>"
    assert alice.error_of("submit_batch", f"<batch>{APP}{bad}</batch>") == (
        -1,
        "create_work failed: there is no staged file private",
    )


def test_what_a_template_says_of_its_jobs_reaches_them(project: Project, alice: Script) -> None:
    options = "<min_quorum>2</min_quorum><max_error_results>4</max_error_results><delay_bound>7200</delay_bound>"
    literal = TEMPLATE_IN.replace("<min_quorum>1</min_quorum>", options) + TEMPLATE_OUT
    batch_id = submitted(alice, job("q_0", more=literal), more="<priority>7</priority>")
    with project.system.store.reading() as tx:
        row = tx.job(f"batch_{batch_id}")
    assert row is not None
    assert (row.spec.quorum, row.spec.retry.max_errors, row.spec.retry.lease_seconds) == (2, 5, 7200)
    assert (row.spec.priority, row.spec.retry.error_threshold) == (7, 1.0)


@pytest.mark.parametrize("opened", [False, True])
def test_an_aborted_job_ends_with_its_batch_going_on(project: Project, alice: Script, opened: bool) -> None:
    batch_id = submitted(alice, job("a_0"), job("a_1"))
    project.work()
    if opened:
        with project.system.store.transaction() as tx:
            found = tx.job(f"batch_{batch_id}")
            assert found is not None
            tx.open_chunks(found.job_key, 10, project.clock.now(), "the test")
    assert alice.call("abort_jobs", "<job_name>a_1</job_name>").findtext("success") == "1"
    with project.system.store.reading() as tx:
        row = tx.job(f"batch_{batch_id}")
        assert row is not None
        assert [each.case.chunk.state for each in tx.chunk_rows(row.job_key, -1, 10)] == [
            "open" if opened else "planned",
            "failed",
        ]
    told = alice.call("query_batch", _id(batch_id) + "<get_job_details>1</get_job_details>")
    assert [each.findtext("status") for each in told.findall("job")] == ["queued", "error"]
    assert [each.findtext("error") for each in told.findall("job")] == [None, "cancelled"]
    mask = alice.call("query_completed_job", "<job_name>a_1</job_name>").findtext("completed_job/error_mask")
    assert mask == "16"
    assert alice.error_of("query_completed_job", "<job_name>no</job_name>") == (-1, "no such job")


def test_one_name_that_is_not_there_aborts_nothing(alice: Script) -> None:
    batch_id = submitted(alice, job("k_0"))
    names = "<job_name>k_0</job_name><job_name>no</job_name>"
    assert alice.error_of("abort_jobs", names) == (-1, "no job no")
    told = alice.call("query_batch", _id(batch_id) + "<get_job_details>1</get_job_details>")
    assert told.findtext("job/status") == "queued"


def test_a_job_that_is_aborted_before_it_is_planned_is_not_done(project: Project, alice: Script) -> None:
    batch_id = submitted(alice, job("u_0"), job("u_1"))
    alice.call("abort_jobs", "<job_name>u_0</job_name><job_name>u_1</job_name>")
    project.work()
    project.work()
    told = alice.call("query_batch", _id(batch_id))
    assert (told.findtext("state"), told.findtext("nerror_jobs"), told.findtext("fraction_done")) == ("2", "2", "1")


def test_a_batch_retires_when_its_time_is_over(project: Project, alice: Script) -> None:
    batch_id = submitted(alice, job("e_0"))
    assert alice.call("set_expire_time", _id(batch_id) + f"<expire_time>{RECORDED_AT + 60}</expire_time>").findtext(
        "success"
    )
    project.work()
    assert alice.call("query_batch", _id(batch_id)).findtext("state") == "1"
    project.clock.advance(61)
    project.work()
    assert alice.call("query_batch", _id(batch_id)).findtext("state") == "4"
    assert alice.call("query_batches").findall("batch") == []
    project.clock.advance(31 * 86400)
    project.work()
    assert alice.error_of("query_batch", _id(batch_id)) == (-1, "no such batch")


def test_a_job_that_was_deleted_is_a_retired_batch(project: Project, alice: Script) -> None:
    batch_id = submitted(alice, job("d_0"))
    project.api("POST", f"/api/jobs/batch_{batch_id}/cancel")
    project.work()
    project.api("DELETE", f"/api/jobs/batch_{batch_id}")
    assert alice.call("query_batch", _id(batch_id)).findtext("state") == "4"
    assert alice.call("retire_batch", _id(batch_id)).findtext("success") == "1"


def test_jobs_of_batches_in_few_words(project: Project, alice: Script) -> None:
    submitted(alice, job("c_0"), job("c_1"), more="<batch_name>condor</batch_name>")
    alice.call("abort_jobs", "<job_name>c_1</job_name>")
    told = alice.call("query_batch2", "<batch_name>condor</batch_name><min_mod_time>0</min_mod_time>")
    assert told.findtext("server_time") == f"{RECORDED_AT}.000000"
    assert told.findtext("batch_size") == "2"
    assert [(each.findtext("job_name"), each.findtext("status")) for each in told.findall("job")] == [
        ("c_0", "UNSENT"),
        ("c_1", "ERROR"),
    ]


def test_an_estimate_is_a_number_before_anything_was_measured_and_after(project: Project, alice: Script) -> None:
    asked = f"<batch>{APP}{job('s_0', more='<rsc_fpops_est>8e9</rsc_fpops_est>')}</batch>"
    assert float(alice.call("estimate_batch", asked).findtext("seconds", "")) == 2.0
    submitted(alice, job("r_0"))
    with project.system.store.transaction() as tx:
        row = tx.job("batch_1")
        assert row is not None
        tx.set_setting(f"rate:{row.spec.ran}", "0.25")
    assert float(alice.call("estimate_batch", asked).findtext("seconds", "")) == 4.0


def test_staged_files_are_the_accounts_own_and_end_in_time(project: Project, alice: Script) -> None:
    later = RECORDED_AT + 100
    names = "<phys_name>data</phys_name>"
    alice.job_file("upload_files", f"<delete_time>{later}</delete_time>{names}", {"data": b"1"})
    assert "<file>" not in alice.job_file("query_files", f"<delete_time>{later}</delete_time>{names}").text
    assert "<file>0</file>" in project.script("bob").job_file("query_files", names).text
    project.clock.advance(101)
    project.work()
    assert "<file>0</file>" in alice.job_file("query_files", names).text


def test_no_byte_of_a_file_is_taken_from_strangers(project: Project, alice: Script) -> None:
    answer = Script(alice.url, "f" * 32).job_file("upload_files", "<phys_name>x</phys_name>", {"x": b"1"})
    assert "bad authenticator" in answer.text
    first = httpx2.post(
        f"{alice.url}job_file.php", files=[("file_0", ("x", b"1")), ("request", (None, b"<upload_files/>"))], timeout=60
    )
    assert "the field request must come before the files" in first.text
    bad = alice.job_file("upload_files", "<phys_name>../x</phys_name>", {"x": b"1"})
    assert "bad file name" in bad.text
    fewer = alice.job_file("upload_files", "<phys_name>a</phys_name><phys_name>b</phys_name>", {"a": b"1"})
    assert "2 files are named, and 1 have come" in fewer.text


def test_outputs_open_for_their_owners_signature_only(project: Project, alice: Script) -> None:
    batch_id = submitted(alice, job("o_0"))
    wrong = hashlib.md5(b"x", usedforsecurity=False).hexdigest()
    for query in (
        {"cmd": "result_file", "result_name": "o_0_0", "file_num": "0"},
        {"cmd": "batch_files", "batch_id": str(batch_id)},
        {"cmd": "workunit_files", "wu_id": "1"},
    ):
        answer = httpx2.get(f"{alice.url}get_output.php", params={**query, "auth_str": wrong}, timeout=60)
        assert (answer.status_code, answer.text[:20]) == (404, "ERROR: no such file ")
    unknown = httpx2.get(f"{alice.url}get_output3.php", params={"cmd": "workunit_file", "auth_str": wrong}, timeout=60)
    assert (unknown.status_code, unknown.text) == (403, "ERROR: bad authenticator\n")
    empty = alice.output(project.key_of("alice"), str(batch_id), cmd="batch_files", batch_id=batch_id)
    assert (empty.status_code, empty.content[:2]) == (200, b"PK")


def _id(batch_id: int) -> str:
    return f"<batch_id>{batch_id}</batch_id>"

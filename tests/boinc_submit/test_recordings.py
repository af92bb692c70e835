"""Every recorded call, byte for byte, answered as BOINC's own server answered it, element by element."""

import httpx2
import pytest

from tests.boinc_submit.conftest import Project, stage_templates
from tests.boinc_submit.recorded import all_requests, elements, recorded
from tests.boinc_submit.script import Script

FIRST = (
    "boinc_submit_01_estimate_batch",
    "boinc_submit_02_submit_batch_new_named",
    "boinc_submit_03_create_batch",
    "boinc_submit_04_submit_batch_into_existing",
    "boinc_submit_05_query_batches",
    "boinc_submit_06_query_batch",
    "boinc_submit_07_query_batch_nocpu",
    "boinc_submit_08_abort_jobs",
    "boinc_submit_09_query_batch_after_abort_jobs",
    "boinc_submit_10_bad_auth",
    "boinc_submit_11_bad_app",
)
JOB = "<job><name>b_0</name><input_file><mode>inline</mode><source>x</source></input_file></job>"
SECOND = (
    "submit_api_01_estimate_batch",
    "submit_api_02_submit_batch",
    "submit_api_03_query_batch",
    "submit_api_04_query_batches",
    "submit_api_05_create_batch",
    "submit_api_06_submit_batch2",
    "submit_api_07_abort_batch",
    "submit_api_08_query_batch_aborted",
    "submit_api_09_retire_batch",
)


def replayed(script: Script, name: str) -> list[tuple[str, str]]:
    answer = script.post(recorded(name).request)
    assert answer.status_code == 200
    assert answer.content.startswith(b'<?xml version="1.0" encoding="ISO-8859-1" ?>\n')
    return elements(answer.content)


def without_leftover(reply: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """BOINC keeps the batch, number 3, of a submission that it refused; here a refused one leaves nothing."""
    batches: list[list[tuple[str, str]]] = [[]]
    for each in reply[1:]:
        if each[0] == "query_batches/batch":
            batches.append([])
        batches[-1].append(each)
    return [reply[0], *(line for batch in batches if ("query_batches/batch/id", "3") not in batch for line in batch)]


def test_the_recorded_scripts_get_the_recorded_answers(project: Project) -> None:
    alice = project.alice
    stage_templates(alice)
    for name in FIRST:
        assert replayed(alice, name) == elements(recorded(name).reply), name
    others = project.script("bob")  # so that numbers are what they were when it was recorded
    for number in (3, 4):
        made = others.call("create_batch", "<app_name>shtest</app_name><batch_name>b</batch_name>")
        assert made.findtext("batch_id") == str(number)
    alice.upload({"in_sapi_1": b"one\n", "in_sapi_2": b"two\n"})
    for name in SECOND:
        assert replayed(alice, name) == without_leftover(elements(recorded(name).reply)), name


def test_other_peoples_jobs_are_not_told_of(project: Project) -> None:
    bob = project.script("bob")
    stage_templates(bob)
    bob.call("submit_batch", "<batch><app_name>shtest</app_name>" + JOB + "</batch>")
    assert bob.call("query_job", "<job_id>1</job_id>").find("error") is None
    assert replayed(project.alice, "submit_api_10_query_job") == elements(recorded("submit_api_10_query_job").reply)


@pytest.mark.parametrize("name", ["boinc_submit_12_query_files", "submit_api_11_query_files"])
def test_files_that_are_absent_are_named_by_their_places(project: Project, name: str) -> None:
    project.alice.upload({"in_sapi_1": b"one\n"})
    sent = {"request": recorded(name).request.decode()}
    answer = httpx2.post(f"{project.url}/boinc/job_file.php", data=sent, timeout=60)
    assert elements(answer.content) == elements(recorded(name).reply)


def test_counts_of_jobs_have_the_recorded_form(project: Project) -> None:
    alice = project.alice
    stage_templates(alice)
    alice.post(recorded("boinc_submit_02_submit_batch_new_named").request)
    project.work()
    answer = httpx2.get(f"{project.url}/boinc/server_status.php?counts=1", timeout=60)
    was = [path for path, _ in elements(recorded("boinc_submit_13_get_job_counts").reply)]
    assert [path for path, _ in elements(answer.content)] == was
    assert ("job_counts/results_ready_to_send", "3") in elements(answer.content)
    longer = httpx2.get(f"{project.url}/boinc/server_status.php?xml=1", timeout=60)
    assert ("server_status/database_file_states/results_ready_to_send", "3") in elements(longer.content)


@pytest.mark.parametrize(
    "name", ["boinc_submit_01_estimate_batch", "boinc_submit_02_submit_batch_new_named", "boinc_submit_08_abort_jobs"]
)
def test_errors_have_the_recorded_numbers_and_begin_with_the_recorded_words(project: Project, name: str) -> None:
    """Not the paths of a server's disk that BOINC's texts go on with."""
    was = elements(recorded(f"errors/{name}").reply)
    now = elements(project.alice.post(recorded(f"errors/{name}").request).content)
    assert [path for path, _ in now] == [path for path, _ in was]
    assert now[:3] == was[:3]
    assert now[3][1].split(" file ")[0] == was[3][1].split(" file ")[0]


def test_a_file_that_was_not_staged_is_named(project: Project) -> None:
    alice = project.alice
    stage_templates(alice)
    now = elements(alice.post(recorded("submit_api_02_submit_batch").request).content)
    was = elements(recorded("errors/submit_api_missing_file").reply)
    assert [path for path, _ in now] == [path for path, _ in was]
    assert now[:3] == was[:3]
    assert now[3][1] == "create_work failed: there is no staged file in_sapi_1"
    assert alice.call("query_batches").findall("batch") == []


def test_there_are_recorded_requests() -> None:
    assert len(all_requests()) >= 25

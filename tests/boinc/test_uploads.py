"""Answer files on their way in: resumed, refused, checked."""

import pytest

from fallow.control.boinc.uploads import ANSWER_BYTES_MAX, ROW_BYTES_MAX
from fallow.core.words import AttemptState, JobState
from fallow.sim.boinc_host import Finished, SimHost, SimTask
from tests.boinc.project import Project


@pytest.fixture
def ada(project: Project) -> SimHost:
    project.submit("job-1", items=10)
    host = project.host("laptop", "ada")
    host.call(1.0, 1.0)
    return host


@pytest.fixture
def task(ada: SimHost) -> SimTask:
    return next(iter(ada.held.values()))


def test_an_upload_that_was_cut_goes_on_where_it_was(project: Project, ada: SimHost, task: SimTask) -> None:
    done = ada.run(task, project.clock.now())
    third = len(done.answer) // 3
    assert ada.size(task) == 0
    assert ada.upload(done, 0, third).text_of("status") == "1"
    assert ada.size(task) == third
    assert ada.upload(done, third, 2 * third).text_of("status") == "1"
    assert ada.size(task) == 2 * third
    assert ada.upload(done, third).text_of("status") == "0"  # from before the cut: the later part is replaced
    assert ada.size(task) == len(done.answer)
    ada.done.append(done)
    ada.call()
    project.settle()
    assert project.state("job-1") is JobState.COMPLETED


def test_a_gap_is_not_filled_with_nothing(project: Project, ada: SimHost, task: SimTask) -> None:
    done = ada.run(task, project.clock.now())
    said = ada.upload(done, 100)
    assert said.text_of("status") == "1"
    assert ada.size(task) == 0


def test_wrong_bytes_are_asked_for_again(project: Project, ada: SimHost, task: SimTask) -> None:
    done = ada.run(task, project.clock.now())
    garbled = Finished(task, bytes(reversed(done.answer)))
    body_of = ada.upload(Finished(task, done.answer[:-1] + b"?"))  # its MD5 is right for these bytes: taken
    assert body_of.text_of("status") == "0"
    ada.done.append(done)  # but it is not the answer that the client reports
    ada.call()
    project.settle()
    assert project.counts("job-1")[AttemptState.ERRORED] == 1
    assert garbled.answer != done.answer


def test_a_task_that_is_over_takes_no_upload(project: Project, ada: SimHost, task: SimTask) -> None:
    done = ada.finish(task, project.clock.now())
    ada.call()
    assert ada.upload(done).text_of("status") == "-1"


def test_a_file_that_was_never_asked_for_is_refused(project: Project, ada: SimHost, task: SimTask) -> None:
    names = (
        "../../../etc/passwd",
        task.output_name[:-1],
        task.output_name.replace("answer", "ticket"),
        task.output_name + "/../x",
        "answer_1_" + "0" * 32,
        "answer_99_" + task.output_name.rpartition("_")[2],
        "",
        "x" * 5000,
        "\x00",
    )
    for name in names:
        body = (
            f"<data_server_request>\n<file_upload>\n<file_info>\n<name>{name}</name>\n<max_nbytes>5</max_nbytes>\n</file_info>\n"
            "<nbytes>5</nbytes>\n<md5_cksum>5d41402abc4b2a76b9719d911017c592</md5_cksum>\n<offset>0</offset>\n<data>\nhello"
        )
        status, answer = project.ask("POST", "/boinc/file_upload_handler", body.encode())
        assert status == 200
        assert b"<status>-1</status>" in answer, (name, answer)
    assert list(project.system.places.artifacts.list("boinc/upload")) == []


def test_too_large_a_file_is_refused_whatever_it_says_of_itself(project: Project, ada: SimHost, task: SimTask) -> None:
    said = ada.upload(Finished(task, b"x" * (ANSWER_BYTES_MAX + 1)))
    assert said.text_of("status") == "-1"
    body = (
        f"<data_server_request>\n<file_upload>\n<file_info>\n<name>{task.output_name}</name>\n</file_info>\n"
        "<nbytes>10</nbytes>\n<md5_cksum>781e5e245d69b566979b86e28d23f2c7</md5_cksum>\n<offset>0</offset>\n<data>\n"
    ).encode() + b"x" * (ANSWER_BYTES_MAX + 100_000)
    status, answer = project.ask("POST", "/boinc/file_upload_handler", body)
    assert status == 200
    assert b"<status>-1</status>" in answer
    assert ada.size(task) == 0


@pytest.mark.parametrize("size", [100, ROW_BYTES_MAX + 1])
def test_answers_that_nobody_reports_are_swept(project: Project, ada: SimHost, task: SimTask, size: int) -> None:
    """A small file is a row, a large one is an object."""

    def kept() -> int:
        row = project.read(lambda tx: tx.answer_upload(1))
        objects = list(project.system.places.artifacts.list("boinc/upload"))
        return len(row or b"") + sum(each.size_bytes for each in objects)

    ada.upload(Finished(task, b"x" * size))
    project.settle()
    assert kept() == size, "it may yet be reported"
    project.pass_time(2 * 86_400)
    ada.held.clear()
    ada.call()
    project.settle()
    assert kept() == 0

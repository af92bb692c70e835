"""Where the input files of BOINC jobs may be, seen to the end: inline, staged, and elsewhere on the web."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from tests.boinc_submit.conftest import Project, stage_templates
from tests.boinc_submit.recorded import KEY, TEMPLATE_IN
from tests.boinc_submit.script import Script
from tests.boinc_submit.test_calls import job, submitted

CONTENT = b"from the web\n" * 100


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server of somebody's, with one file."""
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "file").write_bytes(CONTENT)

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *words: object) -> None:
            super().__init__(*words, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def remote(url: str, size: int = len(CONTENT), content: bytes = CONTENT) -> str:
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return f"<mode>remote</mode><url>{url}</url><nbytes>{size}.000000</nbytes><md5>{digest}</md5>"


def finished(project: Project, script: Script, batch_id: int, folder: Path) -> dict[str, list[str | None]]:
    """(status, error) of each job, once the batch is complete."""
    asked = f"<batch_id>{batch_id}</batch_id><get_job_details>1</get_job_details>"
    project.work_until(lambda: script.call("query_batch", asked).findtext("state") == "2", folder)
    jobs = script.call("query_batch", asked).findall("job")
    return {each.findtext("name", ""): [each.findtext("status"), each.findtext("error")] for each in jobs}


def zipped(project: Project, script: Script, batch_id: int) -> dict[str, bytes]:
    got = script.output(project.key_of("alice"), str(batch_id), cmd="batch_files", batch_id=batch_id)
    assert got.status_code == 200
    with zipfile.ZipFile(io.BytesIO(got.content)) as archive:
        return {name.split("_r")[0]: archive.read(name) for name in archive.namelist()}


def test_each_place_of_files_and_one_bad_file(any_project: Project, web: str, tmp_path: Path) -> None:
    alice = any_project.alice
    stage_templates(alice)
    alice.upload({"data": b"staged\n", "empty": b""})
    batch_id = submitted(
        alice,
        job("inline", file="<mode>inline</mode><source>in line &lt;&amp; so\n</source>"),
        job("staged", file="<mode>local_staged</mode><source>data</source>"),
        job("empty", file="<mode>local_staged</mode><source>empty</source>"),
        job("remote", more="<command_line>-x 'y z'</command_line>", file=remote(f"{web}/file")),
        job("other", file=remote(f"{web}/file", content=b"x")),
        job("short", file=remote(f"{web}/file", size=5)),
        job("absent", file=remote(f"{web}/absent")),
    )
    told = finished(any_project, alice, batch_id, tmp_path)
    bad = ["error", "too_many_error_results"]
    good: list[str | None] = ["done", None]
    assert told == {
        "inline": good, "staged": good, "empty": good, "remote": good, "other": bad, "short": bad, "absent": bad,
    }  # fmt: skip
    assert zipped(any_project, alice, batch_id) == {
        "inline_0": b"IN LINE <& SO\n\n",
        "staged_0": b"STAGED\n\n",
        "empty_0": b"\n",
        "remote_0": CONTENT.upper() + b"-x 'y z'\n",
    }
    totals = alice.call("query_batch", f"<batch_id>{batch_id}</batch_id>")
    assert (totals.findtext("nerror_jobs"), totals.findtext("fraction_done")) == ("3", "1")
    instance = alice.call("query_job", f"<job_id>{totals.findtext('job/id')}</job_id>").find("instance")
    assert instance is not None
    assert instance.findtext("name") == "inline_0"
    assert instance.findtext("state") == "Completed and validated"
    assert instance.findtext("outfile/size") == "15"
    own = {"cmd": "workunit_file", "wu_name": "remote", "file_num": "0", "auth_str": KEY}
    answer = httpx2.get(f"{alice.url}get_output2.php", params=own, timeout=60)
    assert (answer.status_code, answer.content) == (200, CONTENT.upper() + b"-x 'y z'\n")
    assert "attachment" in answer.headers["content-disposition"]
    job_id = totals.findtext("job/id", "")
    one = alice.output(any_project.key_of("alice"), job_id, cmd="workunit_files", wu_id=job_id)
    with zipfile.ZipFile(io.BytesIO(one.content)) as archive:
        assert [archive.read(name) for name in archive.namelist()] == [b"IN LINE <& SO\n\n"]


def test_addresses_of_this_network_are_not_fetched(project: Project, web: str, tmp_path: Path) -> None:
    alice = project.alice
    stage_templates(alice)
    batch_id = submitted(alice, job("private", file=remote(f"{web}/file")))
    assert finished(project, alice, batch_id, tmp_path) == {"private": ["error", "too_many_error_results"]}
    assert zipped(project, alice, batch_id) == {}


def test_files_of_a_template_are_its_owners(project: Project, tmp_path: Path) -> None:
    """The operator keeps a file with the application; each job brings another one."""
    operators = Script(project.alice.url, project.key_of("operators"))
    shared = TEMPLATE_IN.replace(
        "<file_info></file_info>",
        "<file_info><physical_name>model</physical_name></file_info><file_info></file_info>",
    ).replace("<file_ref>", "<file_ref><open_name>weights</open_name><copy_file/></file_ref><file_ref>", 1)
    stage_templates(operators)
    operators.upload({"shtest_in": shared.encode(), "model": b"the weights\n"})
    batch_id = submitted(project.alice, job("with_model", file="<mode>inline</mode><source>mine</source>"))
    assert finished(project, project.alice, batch_id, tmp_path) == {"with_model": ["done", None]}
    assert zipped(project, project.alice, batch_id) == {"with_model_0": b"MINE\n"}

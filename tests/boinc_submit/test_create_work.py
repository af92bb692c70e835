"""`fallow boinc create-work`: BOINC's options, lines of jobs, and what became of them."""

import base64
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fallow.protocols.boinc.create_work import (
    IGNORED,
    LINE_BYTES_MAX,
    BadOption,
    Remote,
    parse_lines,
    parse_words,
)
from tests.boinc_submit.conftest import Project
from tests.boinc_submit.recorded import TEMPLATE_IN, TEMPLATE_OUT


def test_each_option_of_create_work_is_known() -> None:
    text = (
        "--appname a --app_version_num 1 --batch 2 --broadcast --broadcast_user 3 --broadcast_team 4 "
        "--command_line '-x \"y z\"' --config_dir c -d 3 --credit 5 --delay_bound 6e3 --hr_class 7 --keywords k "
        "--max_error_results 8 --max_success_results 9 --max_total_results 10 --min_quorum 2 --priority -5 "
        "--result_template r --rsc_disk_bound 1 --rsc_fpops_bound 1 --rsc_fpops_est 1 --rsc_memory_bound 1 "
        "--size_class 1 --stdin --sub_appname s --target_host 1 --target_nresults 2 --target_team 3 --target_user 4 "
        "--verbose --wu_id 5 --wu_name n --wu_template t --remote_file http://x/y 12.0 " + "A" * 32 + " one two"
    )
    work = parse_words(shlex.split(text))
    assert work.stdin
    assert work.files == (Remote("http://x/y", 12, "a" * 32), "one", "two")
    assert work.text("command_line") == '-x "y z"'
    assert (work.number("delay_bound"), work.number("priority"), work.number("min_quorum")) == (6000, -5, 2)
    assert set(work.ignored) == {*IGNORED, "broadcast", "verbose"}


def test_lines_say_what_the_command_does_not() -> None:
    shared = parse_words(["--appname", "a", "--command_line", "c", "--stdin", "shared"])
    lines = ["--wu_name one --priority 3 mine\n", "--command_line 'own words'\n"]
    one, two = parse_lines(shared, iter(lines))
    assert (one.text("wu_name"), one.text("command_line"), one.number("priority"), one.files) == (
        "one",
        "c",
        3,
        ("mine",),
    )
    assert (two.text("command_line"), two.files) == ("own words", ("shared",))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("x", "--appname is missing"),
        ("--appname", "--appname wants a value"),
        ("--appname a --appnam b", "unknown option --appnam"),
        ("--appname a --min_quorum two", "wants a number"),
        ("--appname a --remote_file ftp://x 1 2", "wants an http or https url"),
        ("--appname a --remote_file http://x", "wants a value"),
    ],
)
def test_commands_that_are_none_say_why(words: str, message: str) -> None:
    with pytest.raises(BadOption, match=message):
        parse_words(words.split())


@pytest.mark.parametrize("line", ["--batch 7", "--wu_name 'a", "x" * (LINE_BYTES_MAX + 1)])
def test_lines_that_are_none_are_named(line: str) -> None:
    with pytest.raises(BadOption, match="line 1"):
        list(parse_lines(parse_words(["--appname", "a"]), iter([line])))


def created(project: Project, folder: Path, *words: str, lines: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fallow", "boinc", "create-work", "--server", project.url, *words],
        input=lines,
        capture_output=True,
        text=True,
        cwd=folder,
        env={"FALLOW_TOKEN": project.admin_key, "PATH": "/usr/bin:/bin"},
        timeout=120,
        check=False,
    )


def answers(project: Project, job_id: str, folder: Path) -> list[Any]:
    """What the job delivered, once a worker has done it."""
    project.work_until(lambda: project.api("GET", f"/api/jobs/{job_id}").json()["state"] == "completed", folder)
    output = project.api("GET", f"/api/jobs/{job_id}/output/output.jsonl").text
    return [json.loads(line) for line in output.splitlines()]


def test_jobs_of_lines_are_done(project: Project, tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/shtest_in").write_text(TEMPLATE_IN)
    (tmp_path / "templates/shtest_out").write_text(TEMPLATE_OUT)
    (tmp_path / "one").write_text("one\n")
    (tmp_path / "two").write_text("two\n")
    lines = "--wu_name first --command_line '-n 1' one\n--wu_name second two\n"
    ran = created(project, tmp_path, "--appname", "shtest", "--batch", "3", "--stdin", lines=lines)
    assert ran.returncode == 0, ran.stderr
    assert "These options mean nothing here: --batch." in ran.stderr
    first, second = answers(project, ran.stdout.strip(), tmp_path)
    assert base64.b64decode(first["files"][0]["base64"]) == b"ONE\n-n 1\n"
    assert base64.b64decode(second["files"][0]["base64"]) == b"TWO\n\n"


def test_a_wrong_number_of_files_is_refused(project: Project, tmp_path: Path) -> None:
    (tmp_path / "in.xml").write_text(TEMPLATE_IN)
    (tmp_path / "out.xml").write_text(TEMPLATE_OUT)
    words = ["--appname", "shtest", "--wu_template", "in.xml", "--result_template", "out.xml"]
    ran = created(project, tmp_path, *words)
    assert ran.returncode == 2
    assert "A job has 0 input files, and its template 1." in ran.stderr
    missing = created(project, tmp_path, "--appname", "shtest", "x")
    assert "The template templates/shtest_in cannot be read." in missing.stderr

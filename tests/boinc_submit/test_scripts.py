"""BOINC's own kind of validator and assimilator scripts, as real programs."""

import base64
import json
from pathlib import Path

import pytest

from fallow.control.boinc.scripts import Answered, Workunit
from fallow.control.plugins import NotNow, Plugs
from fallow.core.job import Plugins
from fallow.core.refusals import Code, Refusal
from tests.boinc_submit.conftest import add_app, running, stage_templates
from tests.boinc_submit.test_calls import job

SHOW = '#!/bin/sh\nfor word; do echo "$word"; [ -f "$word" ] && cat "$word"; done >"$0.said"\nexit 0\n'
COMPARE = '#!/bin/sh\n[ "$(head -c 3 "$1")" = "$(head -c 3 "$2")" ] || exit 1\n'


def script(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def answered(folder: Path, name: str, **files: str) -> Answered:
    """An answer of one item with these files."""
    path = folder / name
    listed = [{"path": each, "base64": base64.b64encode(text.encode()).decode()} for each, text in files.items()]
    path.write_text(json.dumps({"files": listed}) + "\n")
    return Answered(path, 7, 1.5)


@pytest.fixture
def plugs() -> Plugs:
    return Plugs(allow_exec=True)


def said(program: Path) -> list[str]:
    return Path(f"{program}.said").read_text().splitlines()


def test_words_of_an_init_script_stand_for_files_and_numbers(plugs: Plugs, tmp_path: Path) -> None:
    show = script(tmp_path, "show", SHOW)
    answer = answered(tmp_path, "a", out="the text\n", second="more\n")
    assert plugs.is_valid(f"boinc:{show} files --id result_id runtime | -", answer)
    lines = said(show)
    assert lines[1::2][:1] == ["the text"]
    assert lines[3] == "more"
    assert lines[4:] == ["--id", "7", "1.500000"]
    assert not Path(lines[0]).exists()


@pytest.mark.parametrize(("code", "word"), [(0, True), (1, False), (77, False)])
def test_exit_codes_are_verdicts(plugs: Plugs, tmp_path: Path, code: int, word: bool) -> None:
    program = script(tmp_path, "exits", f"#!/bin/sh\nexit {code}\n")
    answer = answered(tmp_path, "a", out="x")
    assert plugs.is_valid(f"boinc:{program} files", answer) is word
    assert plugs.are_same(f"boinc:- | {program} files files2", answer, answer) is word


def test_three_is_later(plugs: Plugs, tmp_path: Path) -> None:
    program = script(tmp_path, "exits", "#!/bin/sh\nexit 3\n")
    with pytest.raises(NotNow):
        plugs.is_valid(f"boinc:{program} files", answered(tmp_path, "a", out="x"))


def test_a_compare_script_sees_both(plugs: Plugs, tmp_path: Path) -> None:
    compare = script(tmp_path, "compare", COMPARE)
    one, two, three = (answered(tmp_path, f"a{n}", out=text) for n, text in enumerate(("abcd", "abcx", "zzz")))
    name = f"boinc:- | {compare} files files2"
    assert plugs.are_same(name, one, two) is True
    assert plugs.are_same(name, one, three) is False
    assert plugs.is_valid(name, one)
    assert plugs.are_same(f"boinc:{compare} files files", one, two) is None


def test_words_are_never_read_by_a_shell(plugs: Plugs, tmp_path: Path) -> None:
    show = script(tmp_path, "show", SHOW)
    unit = Workunit(3, "$(touch /tmp/x); --wu_id 'q'", 9)
    plugs.assimilate_one(f"boinc:{show} wu_name wu_id batch_id", unit, answered(tmp_path, "a", out="x"))
    assert said(show) == ["$(touch /tmp/x); --wu_id 'q'", "3", "9"]
    plugs.assimilate_one(f"boinc:{show} files", Workunit(3, "w_3", 9, 16), None)
    assert said(show) == ["--error", "16", "w_3", "3", "9"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("verifier", "boinc:/no/such/program files"),
        ("verifier", "boinc:"),
        ("verifier", "boinc:a | b | c"),
        ("assimilator", "boinc:-"),
        ("planner", "boinc:/bin/true"),
    ],
)
def test_what_is_no_script_is_refused_at_the_door(plugs: Plugs, kind: str, name: str) -> None:
    with pytest.raises(Refusal) as refused:
        plugs.check(Plugins(**{kind: name}))
    assert refused.value.code is Code.PLUGIN_UNKNOWN
    with pytest.raises(Refusal, match="does not run executables"):
        Plugs(allow_exec=False).check(Plugins(verifier="boinc:/bin/true files"))


def test_a_batch_goes_through_both_scripts(tmp_path: Path) -> None:
    """The validator refuses one answer each time; the assimilator gets the good one's file and the other's error."""
    init = script(tmp_path, "init", '#!/bin/sh\n! grep -q BAD "$1"\n')
    taken = tmp_path / "taken"
    take = script(tmp_path, "take", f'#!/bin/sh\n{{ echo "$@"; if [ -f "$1" ]; then cat "$1"; fi; }} >>{taken}\n')
    with running(tmp_path, allow_exec_plugins=True) as project:
        plugins = {"verifier": f"boinc:{init} files | -", "assimilator": f"boinc:{take} files wu_name wu_id batch_id"}
        add_app(project, "checked", plugins=plugins, retry={"max_errors": 1})
        stage_templates(project.alice, "checked")
        jobs = [job(f"v_{n}", file=f"<mode>inline</mode><source>{t}</source>") for n, t in enumerate(("fine", "bad"))]
        made = project.alice.call("submit_batch", f"<batch><app_name>checked</app_name>{''.join(jobs)}</batch>")
        asked = f"<batch_id>{made.findtext('batch_id')}</batch_id><get_job_details>1</get_job_details>"
        project.work_until(lambda: project.alice.call("query_batch", asked).findtext("state") == "2", tmp_path)
        told = project.alice.call("query_batch", asked)
        assert [each.findtext("status") for each in told.findall("job")] == ["done", "error"]
    lines = taken.read_text().splitlines()
    assert lines[0].endswith(" v_0 1 1")
    assert lines[1:] == ["FINE", "--error 2 v_1 2 1"]

"""The single file: the same bytes from the same sources, and nothing but Python's own library in it."""

import io
import os
import subprocess
import sys
import zipfile

from fallow.wiring.runner import build_runner

LOOK = """
import runpy, sys
sys.argv = [sys.argv[1]]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as ended:
    code = ended.code
strangers = [
    name for name, module in sys.modules.items()
    if name.split(".")[0] not in sys.stdlib_module_names | {"fallow", "__main__"} and not name.startswith("_")
]
elsewhere = [
    name for name, module in sys.modules.items()
    if name.split(".")[0] == "fallow" and not (module.__file__ or "").startswith(sys.argv[0])
]
print(code, strangers, elsewhere, len([name for name in sys.modules if name.startswith("fallow.worker.contracts")]))
"""


def test_the_same_sources_give_the_same_bytes(runner):
    assert build_runner() == runner


def test_it_is_small_and_sorted_and_has_no_dates(runner):
    assert len(runner) < 200_000
    with zipfile.ZipFile(io.BytesIO(runner)) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert {each.date_time for each in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.testzip() is None
    assert "fallow/worker/volunteer/program.py" in names
    assert not [name for name in names if name.startswith(("fallow/sdk", "fallow/store", "fallow/protocols"))]


def test_it_needs_nothing_installed(runner, tmp_path):
    """-I -S: no directory of packages, no environment."""
    file = tmp_path / "runner"
    file.write_bytes(runner)
    empty = tmp_path / "slot"
    empty.mkdir()
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", LOOK, str(file)], cwd=empty, capture_output=True, text=True, check=False
    )
    code, said = ran.stdout.split(" ", 1)
    assert code == "1", ran.stderr  # there is no ticket
    assert said.startswith("[] [] ")
    assert int(said.split()[-1]) > 5
    assert ran.stderr.splitlines()[-1].startswith('fallow-failure {"failure_class": "ours", "code": "ticket_invalid"')


def test_the_shell_in_front_ends_before_the_archive(runner, tmp_path):
    """Without a Python the shell must not go on into the zip's bytes."""
    file = tmp_path / "runner"
    file.write_bytes(runner)
    file.chmod(0o755)
    ran = subprocess.run(
        [str(file)], cwd=tmp_path, env={"PATH": os.devnull}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0
    assert [line.split(":")[0] for line in ran.stderr.splitlines()] == [
        "This task needs Python 3.11 or newer, and this machine has none.",
        "Install it",
    ]

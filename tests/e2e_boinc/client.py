"""Debian's own BOINC client, run in a directory of its own and driven with boinccmd."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

PROGRAM = "/usr/bin/boinc"
COMMANDER = "/usr/bin/boinccmd"

# unparsed_xml makes the client say which elements of a reply it did not understand.
_CC_CONFIG = """<cc_config>
<log_flags>
<sched_op_debug>1</sched_op_debug><task_debug>1</task_debug><file_xfer_debug>1</file_xfer_debug>
<unparsed_xml>1</unparsed_xml><state_debug>0</state_debug><cpu_sched>1</cpu_sched>
</log_flags>
<options>
<no_info_fetch>1</no_info_fetch><dont_contact_ref_site>1</dont_contact_ref_site>
<skip_cpu_benchmarks>1</skip_cpu_benchmarks><ncpus>{processors}</ncpus>
</options>
</cc_config>
"""
# It computes always, whatever else this machine does, and stores 20 GB at most.
_PREFERENCES = """<global_preferences>
<run_on_batteries>1</run_on_batteries><run_if_user_active>1</run_if_user_active><suspend_cpu_usage>0</suspend_cpu_usage>
<max_ncpus_pct>100</max_ncpus_pct><cpu_usage_limit>100</cpu_usage_limit><disk_min_free_gb>0.01</disk_min_free_gb>
<disk_max_used_pct>100</disk_max_used_pct><disk_max_used_gb>20</disk_max_used_gb>
<ram_max_used_busy_pct>90</ram_max_used_busy_pct><ram_max_used_idle_pct>90</ram_max_used_idle_pct>
<work_buf_min_days>0.0001</work_buf_min_days><work_buf_additional_days>0</work_buf_additional_days>
<leave_apps_in_memory>{in_memory:d}</leave_apps_in_memory>
</global_preferences>
"""
# The client tries again after a second instead of after minutes or hours; its polls (calls each 5 s, tasks each
# second) are compiled in.
_RETRIES = (
    "--sched_retry_delay_min", "1", "--sched_retry_delay_max", "4", "--pers_retry_delay_min", "1",
    "--pers_retry_delay_max", "3", "--retry_cap", "4", "--master_fetch_interval", "5", "--master_fetch_retry_cap", "3",
)  # fmt: skip


class BoincClient:
    """One client: its directory, its process, its log."""

    def __init__(self, home: Path, processors: int = 1, path: str | None = None, stays_in_memory: bool = True) -> None:
        """home: made when missing; it may be another client's copied directory. path: its $PATH. stays_in_memory:
        suspended tasks are paused; else they are told to quit, and started again."""
        self.home = home
        self.path = path or os.environ["PATH"]
        self.port = _free_port()
        self.running: subprocess.Popen[bytes] | None = None
        home.mkdir(parents=True, exist_ok=True)
        self.log_file = home / "client.log"
        (home / "cc_config.xml").write_text(_CC_CONFIG.format(processors=processors))
        (home / "global_prefs_override.xml").write_text(_PREFERENCES.format(in_memory=stays_in_memory))
        self.password = secrets.token_hex(8)
        (home / "gui_rpc_auth.cfg").write_text(self.password)

    # its life
    def start(self) -> "BoincClient":
        words = [PROGRAM, "--dir", str(self.home), "--gui_rpc_port", str(self.port), "--allow_multiple_clients"]
        with self.log_file.open("ab") as log:
            self.running = subprocess.Popen(
                [*words, "--no_gpus", *_RETRIES],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": self.path, "HOME": str(self.home), "LANG": "C.UTF-8"},
                start_new_session=True,
            )
        self.wait("the client to answer", self._answers, 60)
        return self

    def _answers(self) -> bool:
        assert self.running is not None
        assert self.running.poll() is None, self.evidence()
        return self._run("--client_version").returncode == 0

    def kill(self) -> None:
        """kill -9: the client alone; what it started finds out by itself."""
        assert self.running is not None
        self.running.send_signal(signal.SIGKILL)
        self.running.wait(30)

    def quit(self) -> None:
        """As at shutdown: its tasks are told to quit and may go on later."""
        if self.running is None or self.running.poll() is not None:
            return
        self._run("--quit")
        try:
            self.running.wait(90)
        except subprocess.TimeoutExpired:
            self.kill()

    def copy_to(self, home: Path) -> None:
        """A copy of the directory, as a backup or a cloned machine has it."""
        shutil.copytree(self.home, home, symlinks=True, ignore=shutil.ignore_patterns("lockfile", "client.log"))

    # orders
    def command(self, *words: str) -> str:
        """What boinccmd prints. Fails when it does."""
        ran = self._run(*words)
        assert ran.returncode == 0, f"boinccmd {words[0]}: {ran.stdout}{ran.stderr}\n{self.evidence()}"
        return ran.stdout

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        # In its directory: there boinccmd finds the password, so that it is in no list of processes.
        return subprocess.run(
            [COMMANDER, "--host", f"127.0.0.1:{self.port}", "--passwd", self.password, *words],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.home,
            check=False,
        )

    def attach(self, url: str, key: str) -> None:
        self.command("--project_attach", url, key)

    def project(self, url: str, order: str) -> None:
        """order: update, suspend, resume, nomorework, allowmorework, reset, detach."""
        self.command("--project", url, order)

    def task(self, url: str, name: str, order: str) -> None:
        """order: suspend, resume, abort."""
        self.command("--task", url, name, order)

    # what is so
    def tasks(self) -> list[dict[str, str]]:
        """As boinccmd tells them: name, state, active_task_state, fraction done, ready to report, ..."""
        return _sections(self.command("--get_tasks"))

    def projects(self) -> list[dict[str, str]]:
        """name, user_total_credit, host_total_credit, ..."""
        return _sections(self.command("--get_project_status"))

    def transfers(self) -> list[dict[str, str]]:
        return _sections(self.command("--get_file_transfers"))

    def notices(self) -> str:
        return self.command("--get_notices")

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def state(self) -> str:
        """client_state.xml, which it writes about once a minute and when something changed."""
        return (self.home / "client_state.xml").read_text(errors="replace")

    def host_id(self) -> int:
        found = re.search(r"<hostid>(\d+)</hostid>", self.state)
        return int(found.group(1)) if found else 0

    @property
    def unparsed(self) -> list[str]:
        """Lines of its log that name an element which the client did not understand. <ai_batch> is for others: it
        travels in the workunit, and clients skip it."""
        lines = [line for line in self.log.splitlines() if "[unparsed_xml]" in line]
        return [line for line in lines if not line.endswith("WORKUNIT::parse(): unrecognized: ai_batch")]

    def calls(self, name: str) -> list[str]:
        """Lines with which it announces calls to the server: "Sending scheduler request: ..."."""
        return [line for line in self.log.splitlines() if name in line]

    # waiting
    def wait(self, what: str, true: Callable[[], T], seconds: float = 150) -> T:
        """The first true value; fails with the end of the client's log."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if value := true():
                return value
            time.sleep(0.2)
        raise AssertionError(f"not within {seconds} s: {what}\n{self.evidence()}")

    def wait_log(self, pattern: str, seconds: float = 150, after: int = 0) -> re.Match[str]:
        """The first match in the log from its character `after` on."""
        expression = re.compile(pattern)
        return self.wait(f"/{pattern}/ in the log", lambda: expression.search(self.log, after), seconds)

    def wait_task(self, seconds: float = 150, **wanted: str) -> dict[str, str]:
        """A task whose values contain these; `active_task_state="EXECUTING"`; _ stands for a blank."""

        def found() -> dict[str, str] | None:
            for task in self.tasks():
                if all(text in task.get(key, task.get(key.replace("_", " "), "")) for key, text in wanted.items()):
                    return task
            return None

        return self.wait(f"a task with {wanted}", found, seconds)

    def evidence(self) -> str:
        return "--- the client's log ends so:\n" + "\n".join(self.log.splitlines()[-60:])


def _sections(told: str) -> list[dict[str, str]]:
    """boinccmd's lists: "1) -----------", and then "   key: value" lines."""
    found: list[dict[str, str]] = []
    for line in told.splitlines():
        if re.match(r"\d+\) -", line):
            found.append({})
        elif found and ":" in line:
            key, _, value = line.strip().partition(":")
            found[-1].setdefault(key, value.strip())
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

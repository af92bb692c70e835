"""The doctor tells the truth about this machine and names a remedy for each trouble."""

import time
from email.utils import formatdate
from pathlib import Path

import pytest

from fallow.core.words import Engine
from fallow.worker.doctor import examine
from fallow.worker.options import AgentOptions
from fallow.worker.reach import examine_reach
from tests.worker.workserver import Handler


def by_check(findings):
    return {finding.check: finding for finding in findings}


@pytest.mark.containers
def test_this_machine_can_work(tmp_path):
    found = by_check(examine(AgentOptions("", tmp_path)))
    assert found["engine podman"].verdict == "ok"
    assert found["memory limit"].verdict == "ok"
    assert found["disk of podman's images"].message
    assert all(finding.remedy for finding in found.values() if finding.verdict == "fail")


def test_no_engine_that_may_be_used(tmp_path):
    found = by_check(examine(AgentOptions("", tmp_path, engine=Engine.PROCESS)))
    assert found["engine process"].verdict == "fail"
    assert "--allow-process" in found["engine process"].remedy


def test_a_server_that_is_well(server):
    found = by_check(examine_reach(server.url, "key"))
    assert {name: str(finding.verdict) for name, finding in found.items()} == {
        "server: connection": "ok",
        "server: HTTP": "ok",
        "clock": "ok",
        "server: token": "ok",
    }


def test_nobody_listens(server):
    server.down()
    found = examine_reach(server.url, "")
    assert [(f.check, str(f.verdict)) for f in found] == [("server: connection", "fail")]
    server.up()


def test_a_name_that_does_not_exist():
    assert examine_reach("http://no-such-host.invalid:1", "")[-1].check == "server: name"


def test_tls_where_there_is_none(server):
    assert examine_reach(server.url.replace("http:", "https:"), "")[-1].check == "server: TLS"


def test_not_a_url():
    assert examine_reach("host:8000", "")[0].verdict == "fail"


def test_a_token_that_nobody_knows(server):
    server.status["/api/work"] = 401
    assert by_check(examine_reach(server.url, "key"))["server: token"].verdict == "fail"


def test_a_clock_that_is_off(server, monkeypatch):
    monkeypatch.setattr(
        Handler, "date_time_string", lambda self, timestamp=None: formatdate(time.time() - 3600, usegmt=True)
    )
    clock = by_check(examine_reach(server.url, "key"))["clock"]
    assert clock.verdict == "fail"
    assert clock.message == "It is 3600 s ahead of the server's."


def test_looking_leaves_no_trace(tmp_path):
    directory = Path(tmp_path, "not", "there")
    examine(AgentOptions("", directory, engine=Engine.PROCESS))
    assert not directory.parent.exists()

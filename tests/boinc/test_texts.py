"""Texts of people and machines, wherever they come out again."""

import gzip
from collections.abc import Callable
from urllib.parse import unquote_plus, urlencode

from fallow.core.words import JobState
from fallow.protocols.boinc.xml import parse
from tests.boinc.project import Project
from tests.boinc.test_calls import finish_all


def test_names_are_texts_everywhere(make: Callable[..., Project]) -> None:
    """What people call themselves and their things becomes no tag in a reply, a file or a page."""
    evil = "</user_name></name><hostid>9</hostid><script>alert(1)</script>&\"'"
    project = make(boinc_sign_up=True, boinc_name="<b>Project</b> & \u00e9")
    query = urlencode({"email_addr": "eve@example.org", "passwd_hash": "0" * 32, "user_name": evil})
    status, answer = project.ask("POST", "/boinc/create_account.php", query.encode())
    assert status == 200
    made = parse(answer, "account_out")
    key = made.text_of("authenticator")
    [account] = [
        each
        for each in project.http.get("/api/accounts", headers=project.bearer).json()["accounts"]
        if each["name"] == evil
    ]
    project.submit("job-1", items=10, name=evil)
    eve = project.host("laptop", account["account_id"])
    assert eve.key == key
    reply = eve.call(1.0, 1.0)
    assert (reply.text_of("user_name"), reply.text_of("hostid")) == (evil, "1")
    finish_all(eve, project)
    assert project.state("job-1") is JobState.COMPLETED
    info = parse(ask_get(project, f"/boinc/am_get_info.php?account_key={key}"), "am_get_info_reply")
    assert unquote_plus(info.text_of("name")) == evil  # as BOINC has it there
    config = parse(ask_get(project, "/boinc/get_project_config.php"), "project_config")
    assert config.text_of("name") == "<b>Project</b> & \u00e9"
    project.pass_time(2 * 86_400)
    users = parse(gzip.decompress(ask_get(project, "/boinc/stats/user.gz")), "users")
    assert [each.text_of("name") for each in users.all("user")] == [evil]
    for path in ("/boinc/", "/leaders", "/workers", "/jobs", "/job?job_id=job-1"):
        page = project.http.get(path, headers=project.bearer).text
        assert "<script>alert(1)" not in page, path
        assert "<b>Project" not in page, path


def ask_get(project: Project, path: str) -> bytes:
    status, answer = project.ask("GET", path, b"")
    assert status == 200, (path, answer)
    return answer

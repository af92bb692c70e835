"""Large answers over a bad line: cut half-way and resumed, and a server that is killed while one arrives."""

from collections.abc import Iterator

import pytest

from tests.e2e_boinc.project import Account, Project
from tests.e2e_boinc.proxy import CuttingProxy, Uploads

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

ZEROS = 100_000
# Each item becomes a line of 100 kB.
LARGE = ["sh", "-c", f'while read -r line; do printf \'{{"x":"%0{ZEROS}d"}}\\n\' 0; done']
ITEMS = 10


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory, image: str) -> Iterator[tuple[Project, CuttingProxy]]:
    """A project that is reached through a proxy, and the proxy."""
    proxy = CuttingProxy()
    home = tmp_path_factory.mktemp("boinc") / "project"
    home.mkdir()
    settings = {"FALLOW_PUBLIC_URL": f"http://127.0.0.1:{proxy.port}", "FALLOW_INLINE_BYTES_MAX": str(4 << 20)}
    project = Project(home, image, settings)
    proxy.target = project.house.port
    yield project, proxy
    project.close()
    proxy.close()


def large_job(project: Project, job_id: str) -> tuple[Account, str]:
    """One chunk whose answer is more than a megabyte, for a client of its own account."""
    account = project.account(job_id)
    project.submit(account, job_id, LARGE, ITEMS, chunk_items=ITEMS)
    return account, job_id


def finished(project: Project, job_id: str) -> None:
    assert project.house.wait_over(job_id)["state"] == "completed", project.house.story(job_id)
    assert project.outputs(job_id) == [{"x": "0" * ZEROS}] * ITEMS
    assert [each["state"] for each in project.attempts(job_id)] == ["valid"]


def test_an_upload_that_is_cut_half_way_goes_on_where_it_was_cut(lines: tuple[Project, CuttingProxy]) -> None:
    project, proxy = lines
    proxy.uploads = Uploads()
    account, job_id = large_job(project, "cut")
    proxy.cut_next(400_000)
    client = project.attached("cut-pc", account)
    finished(project, job_id)
    assert proxy.uploads.cut == 1
    first, *others = [each for each in proxy.uploads.seen if each != "size?"]
    assert first == "0"
    assert [int(each) for each in others] == [400_000], proxy.uploads.seen
    assert proxy.uploads.seen[-2:] == ["size?", "400000"]  # it asked how much had come
    assert client.unparsed == []


def test_a_server_that_is_killed_while_an_answer_arrives_loses_nothing(lines: tuple[Project, CuttingProxy]) -> None:
    project, proxy = lines
    proxy.uploads = Uploads()
    account, job_id = large_job(project, "server-killed")
    half_way, go_on = proxy.hold_next(600_000)
    client = project.attached("server-killed-pc", account)
    client.wait("half of the answer to be there", half_way.is_set)
    project.house.server.kill()
    go_on.set()
    client.wait_log("Temporarily failed upload|Backing off")
    project.house.start_server()
    finished(project, job_id)
    assert proxy.uploads.cut == 1
    assert client.unparsed == []

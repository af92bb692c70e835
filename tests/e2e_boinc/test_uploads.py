"""Large answers over a bad line: cut half-way and resumed, and a server that is killed while one arrives."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e_boinc.client import BoincClient
from tests.e2e_boinc.project import Account, Project
from tests.e2e_boinc.proxy import CuttingProxy, Uploads

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

ZEROS = 100_000
# Each item becomes a line of 100 kB.
LARGE = ["sh", "-c", f'while read -r line; do printf \'{{"x":"%0{ZEROS}d"}}\\n\' 0; done']
ITEMS = 10


@dataclass
class Line:
    """A project that its one client reaches through a proxy."""

    project: Project
    proxy: CuttingProxy
    account: Account
    client: BoincClient

    def finished(self, job_id: str) -> None:
        project = self.project
        assert project.house.wait_over(job_id)["state"] == "completed", project.house.story(job_id)
        assert project.outputs(job_id) == [{"x": "0" * ZEROS}] * ITEMS
        assert [each["state"] for each in project.attempts(job_id)] == ["valid"]

    def submit(self, job_id: str) -> None:
        """One chunk whose answer is more than a megabyte."""
        self.proxy.uploads = Uploads()
        self.project.submit(self.account, job_id, LARGE, ITEMS, chunk_items=ITEMS)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, image: str) -> Iterator[Line]:
    proxy = CuttingProxy()
    home = tmp_path_factory.mktemp("boinc") / "project"
    home.mkdir()
    settings = {"FALLOW_PUBLIC_URL": f"http://127.0.0.1:{proxy.port}", "FALLOW_INLINE_BYTES_MAX": str(4 << 20)}
    project = Project(home, image, settings)
    proxy.target = project.house.port
    account = project.account("far")
    yield Line(project, proxy, account, project.attached("far-pc", account))
    project.close()
    proxy.close()


def test_an_upload_that_is_cut_half_way_goes_on_where_it_was_cut(line: Line) -> None:
    """The client asks how much has come, and sends the rest."""
    line.proxy.cut_next(400_000)
    line.submit("cut")
    line.finished("cut")
    assert line.proxy.uploads.cut == 1
    assert line.proxy.uploads.seen[-2:] == ["size?", "400000"]
    assert [each for each in line.proxy.uploads.seen if each != "size?"] == ["0", "400000"]
    assert line.client.unparsed == []


def test_a_server_that_is_killed_while_an_answer_arrives_loses_nothing(line: Line) -> None:
    half_way, go_on = line.proxy.hold_next(600_000)
    line.submit("server-killed")
    line.client.wait("half of the answer to be there", half_way.is_set)
    line.project.house.server.kill()
    said = len(line.client.log)
    go_on.set()
    line.client.wait_log("Temporarily failed upload|Backing off", after=said)
    line.project.house.start_server()
    line.finished("server-killed")
    assert line.proxy.uploads.cut == 1
    assert line.client.unparsed == []

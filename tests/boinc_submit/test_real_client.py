"""BOINC at both ends: a script with BOINC's calls submits, Debian's own BOINC client computes."""

import io
import zipfile
from collections.abc import Iterator

import pytest

from tests.boinc_submit.conftest import stage_templates
from tests.boinc_submit.recorded import KEY, recorded
from tests.boinc_submit.script import Script
from tests.boinc_submit.test_whole_batch import PROGRAM
from tests.e2e_boinc.conftest import image
from tests.e2e_boinc.project import Project

__all__ = ["image"]  # a fixture

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]


@pytest.fixture
def boinc(tmp_path_factory: pytest.TempPathFactory, image: str) -> Iterator[Project]:
    home = tmp_path_factory.mktemp("boinc") / "project"
    home.mkdir()
    one = Project(home, image, {})
    yield one
    one.close()


def test_a_batch_goes_from_a_script_to_a_boinc_client_and_back(boinc: Project) -> None:
    template = {"container_image": boinc.image, "command": ["sh", "-c", PROGRAM], "contract": "files"}
    model = {"name": "shtest", "endpoints": ["/boinc"], "job": template}
    assert boinc.house.call("POST", "/api/models", model).is_success
    ada = boinc.account("ada", "submit")
    script = Script(f"{boinc.house.url}/boinc/", ada.boinc_key)
    stage_templates(script)
    request = recorded("boinc_submit_02_submit_batch_new_named").request.replace(KEY.encode(), ada.boinc_key.encode())
    script.post(request)
    client = boinc.attached("ada-pc", ada)
    asked = "<batch_id>1</batch_id><get_cpu_time>1</get_cpu_time><get_job_details>1</get_job_details>"
    client.wait("the batch to be complete", lambda: script.call("query_batch", asked).findtext("state") == "2")
    told = script.call("query_batch", asked)
    assert [each.findtext("status") for each in told.findall("job")] == ["done"] * 3
    got = script.output(ada.boinc_key, "1", cmd="batch_files", batch_id=1)
    with zipfile.ZipFile(io.BytesIO(got.content)) as archive:
        contents = {name.rsplit("_", 3)[0]: archive.read(name) for name in archive.namelist()}
    assert contents == {f"bn_{n}": f"INLINE TEXT BN {n}--n {n}\n".encode() for n in range(3)}
    assert "it was --n 1" in script.call("query_completed_job", "<job_name>bn_1</job_name>").findtext(
        "completed_job/stderr_out", ""
    )
    client.wait("credit for it", lambda: float(script.call("query_batch", asked).findtext("credit_canonical", "0")) > 0)

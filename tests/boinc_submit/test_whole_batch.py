"""A batch that recorded bytes submit, done by a real worker in real containers, and fetched by BOINC's own calls."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fallow.clock import SystemClock
from fallow.control.boinc.users import BoincUsers
from fallow.control.passwords import Passwords
from fallow.store.opening import open_store
from tests.boinc_submit.conftest import register, stage_templates
from tests.boinc_submit.recorded import elements, recorded
from tests.boinc_submit.script import Script
from tests.e2e.house import House, wait_until

pytestmark = pytest.mark.containers

PROGRAM = 'tr a-z A-Z </in/in >/out/out && echo "$ARGS" >>/out/out && echo "it was $ARGS" >&2'


def started(house: Callable[..., House], image: str) -> tuple[House, str]:
    """A server with the recorded application and user, and the key that the user's outputs are signed with."""
    one = house()
    template = {"container_image": image, "command": ["sh", "-c", PROGRAM], "contract": "files"}
    assert one.call("POST", "/api/models", {"name": "shtest", "endpoints": ["/boinc"], "job": template}).is_success
    assert one.call("POST", "/api/accounts", {"name": "alice", "account_id": "alice"}).is_success
    store = open_store(f"sqlite:///{one.home}/server/fallow.db")
    register(store, "alice")
    with store.reading() as tx:
        secret = bytes.fromhex(tx.setting("people_key") or "")
    key = BoincUsers(store, SystemClock(), Passwords(), secret).authenticator_of("alice")
    store.close()
    return one, key


def test_a_batch_of_recorded_bytes_runs_to_its_end(house: Callable[..., House], busybox: str) -> None:
    one, key = started(house, busybox)
    script = Script(f"{one.url}/boinc/")
    stage_templates(script)
    script.post(recorded("boinc_submit_02_submit_batch_new_named").request)
    one.worker("w", "--slots", "2")
    done = recorded("boinc_submit_after_01_query_batch_done")

    def is_complete() -> bool:
        return ("query_batch/state", "2") in elements(script.post(done.request).content)

    wait_until("the batch to be complete", is_complete)
    assert without_credit(elements(script.post(done.request).content)) == without_credit(elements(done.reply))

    told = recorded("boinc_submit_after_02_query_completed_job")
    reply = script.post(told.request)
    assert elements(reply.content) == elements(told.reply)
    assert "it was --n 0" in reply.text

    for number in range(3):
        name = f"bn_{number}_0"
        got = script.output(key, name, cmd="result_file", result_name=name, file_num=0)
        assert (got.status_code, got.content) == (200, f"INLINE TEXT BN {number}--n {number}\n".encode())
    missing = script.output(key, "bn_0_0", cmd="result_file", result_name="bn_0_0", file_num=1)
    assert (missing.status_code, missing.text) == (404, "ERROR: no such file bn_0_0\n")

    got = script.output(key, "1", cmd="batch_files", batch_id=1)
    with zipfile.ZipFile(io.BytesIO(got.content)) as archive:
        contents = {name.split("_r")[0]: archive.read(name) for name in archive.namelist()}
    assert contents == {f"bn_{n}_0": f"INLINE TEXT BN {n}--n {n}\n".encode() for n in range(3)}

    for name in ("boinc_submit_after_04_retire_batch", "boinc_submit_after_05_query_batch_retired"):
        was = recorded(name)
        assert without_credit(elements(script.post(was.request).content)) == without_credit(elements(was.reply)), name
    gone = script.output(key, "bn_0_0", cmd="result_file", result_name="bn_0_0", file_num=0)
    assert gone.status_code == 404
    assert list((Path(one.home) / "server").rglob("jobs/batch_1")) == []


def without_credit(reply: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Credit is for volunteers, and no volunteer did this."""
    return [each for each in reply if not each[0].endswith("credit_canonical")]


def test_bundles_are_an_input_like_others(house: Callable[..., House], busybox: str) -> None:
    """Without BOINC: items with files of their own, submitted over REST."""
    one = house()
    files = [one.home / f"file{number}.txt" for number in range(2)]
    for path in files:
        path.write_text(f"the text of {path.name}\n")
    items = one.home / "items.jsonl"
    items.write_text(
        "".join(
            json.dumps({"command_line": f"-n {n}", "files": [{"open_name": "in", "uri": f"file://{path}"}]}) + "\n"
            for n, path in enumerate([*files, one.home / "absent"])
        )
    )
    job = {"container_image": busybox, "command": ["sh", "-c", PROGRAM], "contract": "files", "input_format": "bundles"}
    asked = {**job, "input_uri": f"file://{items}", "retry": {"error_threshold": 1.0}}
    made = one.call("POST", "/api/jobs", asked)
    assert made.is_success, made.text
    one.worker("w")
    over = one.wait_over(made.json()["job_id"])
    assert over["state"] == "completed", over
    lines = one.call("GET", f"/api/jobs/{over['job_id']}/output/output.jsonl").text.splitlines()
    answers = [json.loads(line) for line in lines]
    assert [each["path"] for each in answers[0]["files"]] == ["out"]
    assert answers[2]["error"]["code"] == "input_missing"
    assert one.call("POST", "/api/jobs", {**asked, "contract": "stream"}).json()["error"]["code"] == "bad_request"

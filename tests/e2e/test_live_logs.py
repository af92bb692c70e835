"""A real worker's log, followed while its program runs: by the API and by the command."""

from pathlib import Path

import httpx2

from tests.e2e.house import Process, fallow, numbered, wait_until

SCRIPT = """
echo '<script>alert(1)</script> first' >&2
while [ ! -e "$0/one" ]; do sleep 0.05; done
echo 'second' >&2
while [ ! -e "$0/two" ]; do sleep 0.05; done
echo 'third' >&2
cat
"""


def test_a_log_is_followed_to_its_end(house, tmp_path: Path) -> None:
    one = house("--allow-process")
    one.worker("teller", "--engine", "process", "--allow-process")
    (tmp_path / "in.jsonl").write_bytes(b"".join(numbered(3)))
    job = {
        "job_id": "told",
        "input_uri": f"file://{tmp_path / 'in.jsonl'}",
        "command": ["sh", "-c", SCRIPT, str(tmp_path)],
        "chunk_items": 3,
        "reuse": "never",
    }
    assert one.call("POST", "/api/jobs", job).status_code == 201
    following = Process(["logs", "told", "--follow"], {"FALLOW_SERVER": one.url, "FALLOW_TOKEN": one.key}).start()
    one.processes.append(following)
    wait_until("the first line", lambda: "</script> first" in following.output)
    attempt = one.call("GET", "/api/jobs/told/attempts").json()["attempts"][0]["attempt_id"]
    path = f"/api/jobs/told/attempts/{attempt}/log/live"
    assert one.call("GET", path).content == b"<script>alert(1)</script> first\n"
    assert one.job("told")["state"] == "running"
    (tmp_path / "one").touch()
    wait_until("the second line", lambda: "second\n" in following.output)
    assert "third" not in following.output
    (tmp_path / "two").touch()
    assert one.wait_over("told")["state"] == "completed"
    assert following.running is not None
    assert following.running.wait(60) == 0
    wait_until("the last words", lambda: "third\n" in following.output)
    said = [line for line in following.lines if not line.startswith("==")]
    assert said == ["<script>alert(1)</script> first\n", "second\n", "third\n"], "each line once, and in order"
    rest = one.call("GET", f"{path}?after=32")
    assert (rest.content, rest.headers["x-fallow-over"]) == (b"second\nthird\n", "true")
    assert "alert(1)" not in one.server.output, "what jobs say is not in the server's own log"


def test_a_follower_of_a_job_that_is_over_ends_at_once(house, tmp_path: Path) -> None:
    one = house("--allow-process")
    one.worker("teller", "--engine", "process", "--allow-process")
    (tmp_path / "in.jsonl").write_bytes(b"".join(numbered(4)))
    command = ["sh", "-c", 'echo "chunk $AI_CHUNK_ID" >&2; cat']
    job = {"job_id": "over", "input_uri": f"file://{tmp_path / 'in.jsonl'}", "command": command, "reuse": "never"}
    assert one.call("POST", "/api/jobs", job | {"chunk_items": 1}).status_code == 201
    one.wait_over("over")
    known = {"FALLOW_SERVER": one.url, "FALLOW_TOKEN": one.key}
    told, kept = fallow("logs", "over", "-f", **known), fallow("logs", "over", **known)
    assert told.returncode == kept.returncode == 0, told.stderr + kept.stderr
    assert told.stdout == kept.stdout
    assert sorted(told.stdout.splitlines()) == ["chunk 0", "chunk 1", "chunk 2", "chunk 3"]
    both = fallow("logs", "over", "-f", "--failed", **known)
    assert both.returncode != 0
    assert "do not go together" in both.stderr


def test_a_stranger_cannot_follow(house, tmp_path: Path) -> None:
    one = house("--allow-process")
    (tmp_path / "in.jsonl").write_bytes(b"".join(numbered(1)))
    job = {"job_id": "mine", "input_uri": f"file://{tmp_path / 'in.jsonl'}", "command": ["cat"]}
    assert one.call("POST", "/api/jobs", job).status_code == 201
    made = one.call("POST", "/api/keys", {"name": "k", "scopes": ["submit"], "account_id": "eve"}).json()["key"]
    strange: httpx2.Response = one.call("GET", "/api/jobs/mine/attempts/1/log/live", key=made)
    assert strange.status_code == 404
    assert fallow("logs", "mine", "--follow", FALLOW_SERVER=one.url, FALLOW_TOKEN=made).returncode != 0

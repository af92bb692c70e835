"""The reference image in a real, hardened container: right answers, the same ones however the items are cut."""

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from operator import mul
from pathlib import Path
from typing import Any

import pytest

from fallow.protocols.oci.platforms import host
from fallow.sdk.images.layout import read_image

pytestmark = pytest.mark.containers

EMBED = Path(__file__).parents[2] / "images" / "embed"
TEXTS = ["A man is eating food.", "A man is eating a piece of bread.", "The girl is carrying a baby."]

Ask = Callable[..., list[Any]]


def podman(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["podman", *arguments], capture_output=True, check=False, timeout=200, **options)


@pytest.fixture(scope="session")
def ask(embed_image, tmp_path_factory) -> Ask:
    """Sends lines through one container and returns its answers."""
    assert shutil.which("podman"), "install the package podman"
    # podman makes a name of the path it is given, and refuses what is no name (a folder that begins with a dot).
    pulled = podman("pull", "-q", f"oci:{embed_image.layout.name}", cwd=embed_image.layout.parent)
    assert pulled.returncode == 0, pulled.stderr
    assert f"sha256:{pulled.stdout.decode().strip()}" == embed_image.image_id
    limits = [f"--ulimit={name}=1024:1024" for name in ("nofile", "nproc")]
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= 1024
    hardening = "--network=none --read-only --read-only-tmpfs=false --cap-drop=ALL --security-opt=no-new-privileges"
    tmp = "--tmpfs=/tmp:rw,size=64m,nosuid,nodev,mode=1777"
    # crun refuses a machine that mixes both versions of cgroups; runc runs on all of them.
    runtime = ["--runtime=runc"] if shutil.which("runc") else []
    command = [*runtime, "run", "--rm", "-i", "--init", "--pull=never", tmp, *hardening.split(), *limits]

    def send(lines: bytes, *options: str) -> list[Any]:
        # Its own folder for each: conmon leaves a file there when memory runs out.
        folder = tmp_path_factory.mktemp("run")
        done = podman(*command, "--memory=1g", *options, embed_image.image_id, input=lines, cwd=folder)
        assert done.returncode == 0, done.stderr.decode()
        return [json.loads(line) for line in done.stdout.splitlines()]

    return send


def lines_of(items: list[Any]) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


def similarity(one: Any, other: Any) -> float:
    return sum(map(mul, one["embedding"], other["embedding"]))


def chunk(number: int, items: list[Any]) -> bytes:
    return lines_of([{"$fallow": "chunk", "job_id": "j", "chunk_id": number, "count": len(items)}, *items])


def test_three_texts(ask):
    """The similarities are those that sentence-transformers gives for these sentences, to three digits."""
    answers = ask(lines_of([{"text": text} for text in TEXTS]))
    assert [len(answer["embedding"]) for answer in answers] == [384] * 3
    assert all(set(answer) == {"embedding"} for answer in answers)
    assert similarity(answers[0], answers[0]) == pytest.approx(1, abs=1e-4)
    assert similarity(answers[0], answers[1]) == pytest.approx(0.7553, abs=5e-4)
    assert similarity(answers[0], answers[2]) == pytest.approx(-0.105, abs=5e-4)


def test_an_answer_does_not_depend_on_its_neighbours(ask):
    """One by one, in two chunks, and all at once in another order: the same numbers to the last digit."""
    packages = [json.loads(line) for line in (EMBED / "data/packages.jsonl").read_text().splitlines()[:40]]
    together = {a["id"]: a for a in ask(lines_of(packages[::-1]))}
    harness = ask(chunk(1, packages[:7]) + chunk(2, packages[7:]) + chunk(3, packages[3:4]), "--env=FALLOW_HARNESS=1")
    assert harness[0] == {"$fallow": "ready"}
    assert [a["chunk_id"] for a in harness if a.get("$fallow") == "done"] == [1, 2, 3]
    apart = [a for a in harness if "embedding" in a]
    assert apart[:40] == [together[p["id"]] for p in packages]
    assert apart[40] == apart[3]


def test_odd_items_are_answered_in_their_places(ask):
    items = [{"text": ""}, {}, {"id": 7, "text": "word " * 3000}, {"text": 1}, "text", {"text": "日本 \u0000 é"}]
    answers = ask(lines_of(items))
    assert ["embedding" in answer for answer in answers] == [True, False, True, False, False, True]
    assert answers[2]["id"] == 7
    wanted = {"code": "exception", "message": 'ValueError: an item must be an object with a "text"'}
    assert [answers[n]["error"] for n in (1, 3, 4)] == [wanted] * 3


def test_searches_find_sensible_things(ask, tmp_path):
    """The demo's searches, over a part of its texts."""
    wanted = {"recoverdm", "shotwell", "scid", "knights", "mousepad", "rdiff-backup", "photoflare"}
    texts = [
        line
        for line in (EMBED / "data/packages.jsonl").read_text().splitlines(True)
        if json.loads(line)["id"] in wanted
    ]
    assert len(texts) >= 6
    queries = (EMBED / "data/queries.jsonl").read_text().splitlines(True)
    answers = ask("".join(texts + queries).encode())
    (tmp_path / "texts").write_text("".join(texts))
    (tmp_path / "output").write_bytes(lines_of(answers[: len(texts)]))
    (tmp_path / "found").write_bytes(lines_of(answers[len(texts) :]))
    files = [tmp_path / "texts", tmp_path / "output", EMBED / "data/queries.jsonl", tmp_path / "found"]
    done = subprocess.run([sys.executable, EMBED / "search.py", *files], capture_output=True, text=True, check=True)
    blocks = [block.splitlines() for block in done.stdout.strip().split("\n\n")]
    assert [len(block) for block in blocks] == [4, 4, 4]
    first = {block[0].strip('"'): block[1].split()[1] for block in blocks}
    assert first["play chess against the computer"] in {"scid", "knights"}
    assert first["edit photos"] in {"shotwell", "photoflare"}
    assert first["recover files from a damaged disk"] == "recoverdm"


def test_the_image_is_what_its_readme_says(embed_image):
    image = read_image(embed_image.layout, host())
    assert [h.created_by for h in image.config.history or ()][1:] == [
        "fallow: dependencies",
        "fallow: model",
        "fallow: code",
    ]
    assert image.config.run.user == "1000:1000"
    assert (image.config.run.labels or {})["io.fallow.harness"] == "1"
    assert embed_image.size_bytes < 260e6


def test_the_demos_data():
    lines = (EMBED / "data/packages.jsonl").read_text().splitlines()
    items = [json.loads(line) for line in lines]
    assert len(items) == len({item["id"] for item in items}) == 2000
    assert [item["id"] for item in items] == sorted(item["id"] for item in items)
    assert all(set(item) == {"id", "text"} and 5 <= len(item["text"].split()) <= 60 for item in items)
    assert os.path.getsize(EMBED / "data/packages.jsonl") < 1_000_000

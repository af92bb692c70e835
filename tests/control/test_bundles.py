"""Items with files of their own, as the planner makes them ready: places, sizes, digests, and what cannot be had."""

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fallow.control.bundles import FILES_MAX, bundle_lines
from fallow.core.refusals import Code, Refusal
from fallow.sim.world import World


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


@pytest.fixture
def ready(world: World) -> Callable[..., list[dict[str, Any]]]:
    """The lines that a worker would get for these."""

    def lines(*items: object) -> list[dict[str, Any]]:
        world.inputs.files["items"] = b"".join(json.dumps(item).encode() + b"\n" for item in items)
        return [
            json.loads(line) for line in bundle_lines(world.inputs.source("sim:items"), world.servers[0].places, "j")
        ]

    return lines


def test_files_get_their_sizes_and_uploads_their_digests(world: World, ready: Callable[..., Any]) -> None:
    world.inputs.files["one"] = b"12345"
    stored = world.servers[0].places.artifacts.put_blob([b"uploaded"])
    files = [{"open_name": "a", "uri": "sim:one"}, {"open_name": "b", "uri": f"fallow:{stored.key}"}]
    [item] = ready({"name": "n", "command_line": "-x", "files": files})
    assert (item["name"], item["command_line"]) == ("n", "-x")
    assert [each["size_bytes"] for each in item["files"]] == [5, 8]
    assert [each["sha256"] for each in item["files"]] == ["", hashlib.sha256(b"uploaded").hexdigest()]


def test_a_short_file_stays_in_its_line(ready: Callable[..., Any]) -> None:
    [item] = ready({"files": [{"open_name": "a", "text": "x", "uri": "sim:absent"}]})
    assert item["files"] == [{"open_name": "a", "text": "x"}]


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ({"uri": "sim:absent"}, Code.INPUT_MISSING),
        ({"uri": "fallow:jobs/j/items.jsonl"}, Code.INPUT_NOT_ALLOWED),
        ({"uri": "FALLOW:blobs/x"}, Code.INPUT_NOT_ALLOWED),
        ({"uri": "fallow:blobs/" + "0" * 64}, Code.INPUT_MISSING),
        ({"uri": "sim:one", "size_bytes": 4}, Code.DIGEST_MISMATCH),
    ],
)
def test_what_cannot_be_had_refuses_its_own_item(
    world: World, ready: Callable[..., Any], file: dict[str, Any], code: Code
) -> None:
    world.inputs.files["one"] = b"12345"
    good, bad = ready(
        {"files": [{"open_name": "a", "uri": "sim:one"}]}, {"files": [{"open_name": "a", **file}], "more": 1}
    )
    assert "refused" not in good
    assert (bad["refused"]["code"], bad["files"], bad["more"]) == (code, [], 1)


def test_nobody_refuses_his_items_himself(ready: Callable[..., Any]) -> None:
    assert ready({"refused": {"code": "x"}}) == [{"files": []}]


@pytest.mark.parametrize(
    "item",
    [
        [],
        {"files": {}},
        {"files": ["x"]},
        {"files": [{"uri": "sim:one"}]},
        {"files": [{"open_name": "../a", "uri": "sim:one"}]},
        {"files": [{"open_name": ".a", "uri": "sim:one"}]},
        {"files": [{"open_name": "items.jsonl", "uri": "sim:one"}]},
        {"files": [{"open_name": "a", "uri": "sim:one"}] * 2},
        {"files": [{"open_name": f"f{n}", "uri": "sim:one"} for n in range(FILES_MAX + 1)]},
        {"command_line": 7},
        {"command_line": "a\0b"},
    ],
)
def test_lines_that_are_no_bundles_refuse_the_input(ready: Callable[..., Any], item: object) -> None:
    with pytest.raises(Refusal) as refused:
        ready({}, item)
    assert refused.value.code is Code.INPUT_FORMAT
    assert "Item 1 " in refused.value.message

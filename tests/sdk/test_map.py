"""client.map over a real fleet of bare commands."""

import json
from pathlib import Path

import pytest

import fallow
from fallow.sdk.mapping import write_items
from tests.sdk.conftest import Farm

ODD_FAILS = [
    "python3",
    "-c",
    "import sys, json\n"
    "for line in sys.stdin:\n"
    "    n = json.loads(line)\n"
    "    print(json.dumps({'error': {'code': 'odd', 'message': f'{n} is odd'}} if n % 2 else n * 10), flush=True)\n",
]


def test_in_the_order_of_the_items(farm: Farm) -> None:
    assert list(farm.client.map(None, (n for n in range(57)), command=["cat"], chunk_items=5)) == list(range(57))


def test_as_they_come_with_their_numbers(farm: Farm) -> None:
    slow_first = ["sh", "-c", 'while read -r line; do test "$line" = 0 && sleep 1; echo "$line"; done']
    pairs = list(farm.client.map(None, range(40), ordered=False, command=slow_first, chunk_items=4))
    assert sorted(pairs) == [(n, n) for n in range(40)]
    assert pairs[0][0] != 0, "the first chunk is the slowest"


def test_errors_are_values(farm: Farm) -> None:
    answers = list(farm.client.map(None, range(6), command=ODD_FAILS, chunk_items=2))
    assert [each for each in answers if not isinstance(each, Exception)] == [0, 20, 40]
    errors = [each for each in answers if isinstance(each, fallow.ItemError)]
    assert [(each.item, each.code, each.message) for each in errors] == [
        (1, "odd", "1 is odd"),
        (3, "odd", "3 is odd"),
        (5, "odd", "5 is odd"),
    ]


def test_errors_are_raised_when_asked_for_and_the_job_is_cancelled(farm: Farm) -> None:
    answers = farm.client.map(None, range(6), on_error="raise", command=ODD_FAILS, chunk_items=2, job_id="raising")
    assert next(answers) == 0
    with pytest.raises(fallow.ItemError, match="item 1: odd: 1 is odd"):
        next(answers)
    assert farm.client.job("raising").state in ("cancelled", "completed", "merging")


def test_a_job_that_fails_says_so(farm: Farm) -> None:
    with pytest.raises(fallow.JobEnded) as ended:
        list(farm.client.map(None, range(3), command=["sh", "-c", "exit 3"], retry={"error_threshold": 0.1}))
    assert ended.value.state == "failed"
    assert ended.value.reason


def test_nothing_is_a_job_of_nothing(farm: Farm) -> None:
    assert list(farm.client.map(None, [], command=["cat"])) == []


@pytest.mark.parametrize("item", [float("nan"), {1, 2}, b"bytes"])
def test_an_item_that_is_not_json_is_refused_before_anything_is_sent(item: object) -> None:
    with pytest.raises(fallow.Refusal, match="Item 1 is not JSON"):
        fallow.Client("http://127.0.0.1:9").map(None, [1, item], command=["cat"])


class Counted(dict[str, int]):
    """An item that knows how many others there are."""

    alive = 0
    most = 0

    def __init__(self, n: int) -> None:
        super().__init__(n=n)
        Counted.alive += 1
        Counted.most = max(Counted.most, Counted.alive)

    def __del__(self) -> None:
        Counted.alive -= 1


def test_a_million_items_are_never_held(tmp_path: Path) -> None:
    assert write_items(tmp_path / "items.jsonl", (Counted(n) for n in range(1_000_000))) == 1_000_000
    assert Counted.most <= 3
    with (tmp_path / "items.jsonl").open() as file:
        assert json.loads(file.readline()) == {"n": 0}

"""fallow.Executor on a real server and a real worker: what the standard library's pools promise, and its own."""

import concurrent.futures
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fallow
from fallow.sdk.runner import RemoteError
from tests.sdk.conftest import Farm


@pytest.fixture(scope="module")
def pool(farm: Farm) -> Iterator[fallow.Executor]:
    here = sys.modules[__name__]  # to import it, a runner would load the whole server
    with fallow.Executor(client=farm.client, by_value=[here]) as made:
        yield made


class Odd(Exception):
    """Only here."""


def test_a_call_and_its_arguments(pool: fallow.Executor) -> None:
    def joined(*args: object, **kwargs: object) -> str:
        return f"{args} {kwargs}"

    assert pool.submit(joined, 1, "two", three=(3,)).result(60) == "(1, 'two') {'three': (3,)}"
    assert pool.submit(lambda: [None, True, 2**80, 0.1 + 0.2, float("inf")]).result(60) == [
        None,
        True,
        2**80,
        0.1 + 0.2,
        float("inf"),
    ]


def test_map_keeps_the_order_and_takes_several_iterables(pool: fallow.Executor) -> None:
    assert list(pool.map(pow, range(300), [2] * 300)) == [n**2 for n in range(300)]
    assert list(pool.map(str, [])) == []


def test_answers_come_as_they_are_done(pool: fallow.Executor) -> None:
    """A call that waits does not hold up those behind it."""
    slow = pool.submit(time.sleep, 2)
    quick = [pool.submit(pow, n, 2) for n in range(4)]
    done, _ = concurrent.futures.wait([slow, *quick], 60, concurrent.futures.FIRST_COMPLETED)
    assert slow not in done
    assert [each.result(60) for each in quick] == [0, 1, 4, 9]
    assert slow.result(60) is None


def test_arrays_come_back_bit_for_bit(pool: fallow.Executor) -> None:
    given = np.random.default_rng(3).normal(size=(40, 3)).astype(">f8")
    got = pool.submit(lambda: given * 2).result(60)
    assert got.dtype == (given * 2).dtype
    assert got.tobytes() == (given * 2).tobytes()
    assert got.flags.writeable


def test_exceptions_come_back_with_their_traceback(pool: fallow.Executor) -> None:
    def fails() -> None:
        raise KeyError("which", 7)

    def fails_oddly() -> None:
        raise Odd("only there")

    with pytest.raises(KeyError) as known:
        pool.submit(fails).result(60)
    assert known.value.args == ("which", 7)
    assert "in fails" in str(known.value.__cause__)
    with pytest.raises(RemoteError, match="Odd: only there"):
        pool.submit(fails_oddly).result(60)
    with pytest.raises(RemoteError, match="SystemExit"):
        pool.submit(exit, 3).result(60)
    assert pool.submit(pow, 2, 2).result(60) == 4, "the pool goes on"


def test_what_a_function_prints_goes_to_the_log(pool: fallow.Executor, farm: Farm) -> None:
    def prints() -> int:
        print("a line on stdout that is no answer")
        print('{"value": "neither is this"}')
        return 5

    assert pool.submit(prints).result(60) == 5


def test_a_value_that_is_not_plain_needs_trust(pool: fallow.Executor, farm: Farm) -> None:
    with pytest.raises(TypeError, match="trust_workers"):
        pool.submit(threading.Event).result(60)
    with fallow.Executor(client=farm.client, trust_workers=True) as trusting:
        assert trusting.submit(lambda: Odd("a value")).result(60).args == ("a value",)
        with pytest.raises(Odd, match="raised"):
            trusting.submit(_raise, Odd("raised")).result(60)


def _raise(wrong: Exception) -> None:
    raise wrong


def test_a_large_function_is_sent_once_and_again_where_it_is_missing(farm: Farm) -> None:
    """Two runners: the second hears of the function only when it says that it has not got it."""
    table = np.arange(50_000)

    def look(n: int) -> tuple[int, int]:
        import os

        time.sleep(0.05)
        return int(table[n]), os.getpid()

    sent: list[int] = []
    client = fallow.Client(farm.server.url, farm.server.admin_key)
    append = client.append_items
    client.append_items = lambda job, number, lines: (sent.append(len(lines)), append(job, number, lines))[1]  # type: ignore[method-assign]
    with fallow.Executor(client=client) as pool:
        for turn in range(4):
            answers = list(pool.map(look, range(turn * 10, turn * 10 + 10)))
            assert [value for value, _ in answers] == list(range(turn * 10, turn * 10 + 10))
    with_it = [size for size in sent if size > table.nbytes]
    assert 1 <= len(with_it) < len(sent) / 2, "not with each piece"
    client.close()


def test_what_cannot_be_sent_is_refused_at_once(pool: fallow.Executor) -> None:
    with pytest.raises(fallow.Refusal, match="cannot be pickled"):
        pool.submit(len, threading.Lock())
    with pytest.raises(fallow.Refusal, match="too large"):
        pool.submit(len, b"x" * (12 << 20))


def test_a_call_that_waits_can_be_cancelled(farm: Farm) -> None:
    with fallow.Executor(client=farm.client) as pool:
        pool.submit(pow, 2, 2).result(60)
        with pool._changed:  # the sender cannot take anything while this is held
            futures = [pool.submit(pow, n, 2) for n in range(5)]
            assert futures[3].cancel()
        assert [each.result(60) for n, each in enumerate(futures) if n != 3] == [0, 1, 4, 16]
        assert futures[3].cancelled()


def test_shutdown_finishes_what_was_submitted_closes_the_job_and_takes_no_more(farm: Farm) -> None:
    pool = fallow.Executor(client=farm.client)
    futures = [pool.submit(pow, n, 2) for n in range(30)]
    pool.shutdown()
    assert [each.result(0) for each in futures] == [n**2 for n in range(30)]
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(pow, 2, 2)
    assert pool.job_id is not None
    ended = farm.client.wait(pool.job_id, timeout_seconds=60)
    assert (ended.state, ended.progress.completed_items) == ("completed", 30)


def test_a_pool_that_was_never_used_has_no_job(farm: Farm) -> None:
    with fallow.Executor(client=farm.client) as pool:
        assert pool.size == 2
    assert pool.job_id is None


def test_a_job_that_somebody_cancels_breaks_the_pool(farm: Farm) -> None:
    pool = fallow.Executor(client=farm.client)
    assert pool.submit(pow, 2, 2).result(60) == 4
    waiting = pool.submit(time.sleep, 600)
    assert pool.job_id is not None
    farm.client.cancel(pool.job_id)
    with pytest.raises(fallow.JobEnded, match="cancelled"):
        waiting.result(60)
    with pytest.raises(concurrent.futures.BrokenExecutor):
        pool.submit(pow, 2, 2)
    pool.shutdown()


def test_a_call_that_kills_its_process_fails_alone(farm: Farm) -> None:
    def dies() -> None:
        import os

        os._exit(7)

    with fallow.Executor(client=farm.client, retry={"error_threshold": 1.0, "max_errors": 1}) as pool:
        good = pool.submit(pow, 3, 2)
        bad = pool.submit(dies)
        rest = [pool.submit(pow, n, 2) for n in range(10)]
        with pytest.raises(fallow.ItemError, match="exit"):
            bad.result(120)
        assert good.result(60) == 9
        assert [each.result(120) for each in rest] == [n**2 for n in range(10)]


def test_as_completed_and_wait_of_the_standard_library(pool: fallow.Executor) -> None:
    futures = {pool.submit(pow, n, 3): n for n in range(12)}
    seen: dict[int, Any] = {futures[each]: each.result() for each in concurrent.futures.as_completed(futures, 60)}
    assert seen == {n: n**3 for n in range(12)}


def test_two_workers_can_agree_on_a_call(farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing in an answer differs from worker to worker, so a quorum finds its answers equal."""
    with farm.another_worker(tmp_path_factory.mktemp("second")):
        with fallow.Executor(client=farm.client, verify="quorum:2") as pool:
            assert list(pool.map(pow, range(6), [3] * 6)) == [n**3 for n in range(6)]
            assert isinstance(pool.submit(int, "no number").exception(120), ValueError)
        assert pool.job_id is not None
        attempts = list(farm.client.attempts(pool.job_id))
        assert {each.state for each in attempts} == {"valid"}
        assert len({each.worker_id for each in attempts}) == 2

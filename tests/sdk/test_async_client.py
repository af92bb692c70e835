"""AsyncClient is Client on an event loop: written from it, and the same against a real server."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

import fallow
from fallow.protocols.rest.jobs import JobDetail
from fallow.sdk.asynchronous import written
from fallow.sdk.threads import called, iterated
from tests.sdk.conftest import Farm


def test_the_files_are_what_the_client_gives() -> None:
    """If this fails: python -m fallow.sdk.asynchronous"""
    for path, text in written().items():
        assert path.read_text("utf-8") == text, path.name


async def listed(things: AsyncIterator[object]) -> list[object]:
    return [each async for each in things]


def test_a_job_from_its_submission_to_its_results(farm: Farm) -> None:
    threads: set[int] = set()
    looks: list[str] = []

    def note(detail: JobDetail) -> None:
        threads.add(threading.get_ident())
        looks.append(detail.state)

    async def run() -> list[object]:
        async with fallow.AsyncClient(farm.server.url, farm.server.admin_key) as client:
            job = await client.submit(input_uri=farm.input(40), command=["cat"], chunk_items=7)
            detail = await job.wait(note, timeout_seconds=60)
            assert await job.state() == detail.state == "completed"
            assert (await job.to_arrow()).num_rows == 40
            assert (await anext(client.jobs())).job_id == job.job_id
            return await listed(job.results())

    results = asyncio.run(run())
    assert [(each.item, each.output) for each in results] == [(n, {"n": n}) for n in range(40)]
    assert threads == {threading.get_ident()}, "callbacks run on the event loop"
    assert looks[-1] == "completed"


def test_map_gives_answers_while_other_work_goes_on(farm: Farm) -> None:
    async def run() -> tuple[list[object], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        async with fallow.AsyncClient(farm.server.url, farm.server.admin_key) as client:
            ticking = asyncio.create_task(tick())
            answers = await listed(client.map(None, range(20), command=["cat"], chunk_items=5))
            ticking.cancel()
            return answers, ticks

    answers, ticks = asyncio.run(run())
    assert answers == list(range(20))
    assert ticks > 100


def test_a_refusal_is_raised_where_the_call_was_made(farm: Farm) -> None:
    async def run() -> None:
        async with fallow.AsyncClient(farm.server.url, farm.server.admin_key) as client:
            await client.job("nobody")

    with pytest.raises(fallow.Refusal, match="nobody"):
        asyncio.run(run())


def test_an_iterator_that_is_left_is_closed_and_was_read_only_a_little_ahead() -> None:
    closed = threading.Event()
    made = 0

    def numbers():  # type: ignore[no-untyped-def]
        nonlocal made
        try:
            while True:
                made += 1
                yield made
        finally:
            closed.set()

    async def run() -> list[int]:
        taken = []
        things = iterated(numbers)
        async for each in things:
            taken.append(each)
            if each == 10:
                break
        await things.aclose()  # type: ignore[attr-defined]
        return taken

    assert asyncio.run(run()) == list(range(1, 11))
    assert closed.wait(10)
    assert made < 1000


def test_an_iterator_that_breaks_gives_what_it_had_and_then_its_error() -> None:
    def broken():  # type: ignore[no-untyped-def]
        yield 1
        raise ZeroDivisionError("in the thread")

    async def run() -> None:
        things = iterated(broken)
        assert await anext(things) == 1
        with pytest.raises(ZeroDivisionError, match="in the thread"):
            await anext(things)

    asyncio.run(run())


def test_a_call_that_is_cancelled_is_let_go_of() -> None:
    going = threading.Event()

    async def run() -> None:
        waiting = asyncio.create_task(called(going.wait, 60))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        going.set()

    asyncio.run(run())
    assert going.is_set()

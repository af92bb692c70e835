"""Bells: whoever waits hears of it, nobody misses a ring, and nobody is woken for nothing."""

import asyncio
import threading

from fallow.web.bells import Bell


def test_a_ring_calls_so_many_of_those_that_wait_the_longest_first() -> None:
    async def run() -> list[str]:
        bell, heard = Bell(at_once=2), []

        async def wait(name: str) -> None:
            await bell.heard(bell.rings, 30)
            heard.append(name)

        waiting = []
        for name in "abc":
            waiting.append(asyncio.create_task(wait(name)))
            await asyncio.sleep(0)
        threading.Thread(target=bell.ring).start()
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)
        first = list(heard)
        bell.ring()
        await asyncio.gather(*waiting)
        return [*first, *heard[len(first) :]]

    assert asyncio.run(run()) == ["a", "b", "c"]


def test_a_ring_between_the_look_and_the_wait_is_not_missed() -> None:
    async def run() -> None:
        bell = Bell(at_once=1)
        before = bell.rings
        bell.ring()
        await asyncio.wait_for(bell.heard(before, 1000), 30)

    asyncio.run(run())


def test_who_waited_long_enough_leaves_nothing_behind() -> None:
    async def run() -> int:
        bell = Bell(at_once=1)
        await bell.heard(bell.rings, 0.01)
        waiting = asyncio.create_task(bell.heard(bell.rings, 1000))
        await asyncio.sleep(0)
        bell.ring()
        await asyncio.wait_for(waiting, 30)
        return len(bell._waiting)

    assert asyncio.run(run()) == 0


def test_a_loop_that_is_gone_does_not_stop_the_ring() -> None:
    bell = Bell(at_once=5)
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(bell.heard(bell.rings, 1000))
    loop.run_until_complete(asyncio.sleep(0))
    held = list(bell._waiting)
    waiting.cancel()
    loop.run_until_complete(asyncio.gather(waiting, return_exceptions=True))
    loop.close()
    bell._waiting.extend(held)
    bell.ring()
    assert bell.rings == 1

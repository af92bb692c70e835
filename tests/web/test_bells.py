"""Bells: whoever waits hears of it, nobody misses a ring, and nobody is woken for nothing."""

import asyncio
import threading

from fallow.web.bells import Bell


def test_a_ring_calls_so_many_of_those_that_wait_the_longest_first() -> None:
    async def run() -> None:
        bell = Bell(at_once=2)
        first, second, third = (asyncio.create_task(bell.heard(bell.rings, 1000)) for _ in range(3))
        while len(bell._waiting) < 3:
            await asyncio.sleep(0)
        threading.Thread(target=bell.ring).start()
        await asyncio.wait_for(asyncio.gather(first, second), 30)
        assert not third.done()
        bell.ring()
        await asyncio.wait_for(third, 30)

    asyncio.run(run())


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
        while not bell._waiting:
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

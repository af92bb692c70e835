"""Threads for the BOINC door's short answers: more of them would only wait for the same lock and the same rows.

It takes half the time of anyio's threads, too. What waits for an object store or a slow sender has others.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")
_calls: Final = ThreadPoolExecutor(4, "fallow-boinc")
_small: Final = ThreadPoolExecutor(4, "fallow-boinc-small")  # nobody's lease waits behind long calls


async def in_call_thread(function: Callable[[], T]) -> T:
    """For scheduler calls."""
    return await asyncio.get_running_loop().run_in_executor(_calls, function)


async def in_small_thread(function: Callable[[], T]) -> T:
    """For what reads or writes a row or two."""
    return await asyncio.get_running_loop().run_in_executor(_small, function)

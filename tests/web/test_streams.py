"""Slow senders: each account has its turns, and takes nobody else's."""

import threading

import anyio

from fallow.web.streams import UPLOADS_OF_ACCOUNT, in_upload_thread


def test_slow_uploads_of_one_account_hold_up_nobody_else() -> None:
    """Those beyond its turns wait for its own; workers and other accounts go ahead."""
    started, go_on = threading.Semaphore(0), threading.Event()

    def slow() -> str:
        started.release()
        assert go_on.wait(60)
        return "slow"

    async def run() -> list[str]:
        ended: list[str] = []

        async def send(account_id: str | None) -> None:
            ended.append(await in_upload_thread(slow if account_id == "mallory" else lambda: "quick", account_id))

        async with anyio.create_task_group() as group:
            for _ in range(UPLOADS_OF_ACCOUNT + 5):
                group.start_soon(send, "mallory")
            for _ in range(UPLOADS_OF_ACCOUNT):
                await anyio.to_thread.run_sync(started.acquire)
            await send("alice")
            await send(None)
            assert ended == ["quick", "quick"]
            assert not started.acquire(blocking=False), "more than its turns"
            go_on.set()
        return ended

    assert anyio.run(run).count("slow") == UPLOADS_OF_ACCOUNT + 5

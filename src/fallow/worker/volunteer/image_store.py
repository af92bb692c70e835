"""The images of a project's tasks: one task fetches at a time, into a cache that all share."""

import contextlib
import time

from fallow.worker.assignment import ImageNeed
from fallow.worker.control import Control
from fallow.worker.engines.oci_engine import OciEngine
from fallow.worker.faults import Fault
from fallow.worker.images import CACHE_BYTES_MAX, Images, LayoutUnavailable, drop_image
from fallow.worker.transfer import TransferFailed
from fallow.worker.volunteer.home import Home, locked
from fallow.worker.volunteer.server import TRANSFER_TRIES_MAX, Server, Unreachable

UNUSED_SECONDS = 7 * 86400.0
DISK_SHARE = 4  # the cache takes a quarter of what the volunteer gives to the client, at most


class ImageStore:
    """What slot.ImageSource asks for; one for each program."""

    def __init__(self, home: Home, engine: OciEngine, server: Server, disk_bytes: int | None) -> None:
        directory = home.kept / "images"
        directory.mkdir(parents=True, exist_ok=True)
        cache = min(CACHE_BYTES_MAX, disk_bytes // DISK_SHARE) if disk_bytes else CACHE_BYTES_MAX
        self._lock_file = home.kept / "images.lock"
        self._images = Images(directory, engine, server.base_url, server.layout, cache, _away, TRANSFER_TRIES_MAX)
        self._engine = engine
        self._present: dict[ImageNeed, str] = {}
        self._used = directory / "used"
        self._used.mkdir(exist_ok=True)

    def ensure(self, need: ImageNeed, control: Control) -> str | Fault:
        """The id by which the engine runs the image. Raises Unreachable, Unreadable, Left."""
        if need not in self._present:
            with locked(self._lock_file, control.wait):
                self._drop_unused(need)
                found = self._images.ensure(need, control)
            if isinstance(found, Fault):
                return found
            if need.source == "layout":
                (self._used / need.digest).touch()
            self._present[need] = found
        return self._present[need]

    def _drop_unused(self, needed: ImageNeed) -> None:
        """The volunteer's disk is lent: images that no task has used for long go. Only those that this program put into
        the engine; the owner's others are none of its business."""
        for mark in self._used.iterdir():
            if mark.name != needed.digest and time.time() - mark.stat().st_mtime > UNUSED_SECONDS:
                with contextlib.suppress(LayoutUnavailable):  # no file of ours
                    drop_image(self._engine, mark.name)
                mark.unlink()


def _away(failed: TransferFailed) -> None:
    """A server that is away is no fault of the machine's. Raises Unreachable."""
    if failed.status == 0 or failed.status >= 500:
        raise Unreachable(f"the task's image cannot be fetched now: {failed}")

"""The images of a project's tasks: one task fetches at a time, into a cache that all share."""

from fallow.worker.assignment import ImageNeed
from fallow.worker.control import Control
from fallow.worker.engines.oci_engine import OciEngine
from fallow.worker.faults import Fault
from fallow.worker.images import CACHE_BYTES_MAX, Images
from fallow.worker.transfer import TransferFailed
from fallow.worker.volunteer.home import Home, locked
from fallow.worker.volunteer.server import TRANSFER_TRIES_MAX, Server, Unreachable

DISK_SHARE = 4  # the cache takes a quarter of what the volunteer gives to the client, at most


class ImageStore:
    """What slot.ImageSource asks for; one for each program."""

    def __init__(self, home: Home, engine: OciEngine, server: Server, disk_bytes: int | None) -> None:
        directory = home.kept / "images"
        directory.mkdir(parents=True, exist_ok=True)
        cache = min(CACHE_BYTES_MAX, disk_bytes // DISK_SHARE) if disk_bytes else CACHE_BYTES_MAX
        self._lock_file = home.kept / "images.lock"
        self._images = Images(directory, engine, server.base_url, server.layout, cache, _away, TRANSFER_TRIES_MAX)
        self._present: dict[ImageNeed, str] = {}

    def ensure(self, need: ImageNeed, control: Control) -> str | Fault:
        """The id by which the engine runs the image. Raises Unreachable, Unreadable, Left."""
        if need not in self._present:
            with locked(self._lock_file, control.wait):
                found = self._images.ensure(need, control)
            if isinstance(found, Fault):
                return found
            self._present[need] = found
        return self._present[need]


def _away(failed: TransferFailed) -> None:
    """A server that is away is no fault of the machine's. Raises Unreachable."""
    if failed.status == 0 or failed.status >= 500:
        raise Unreachable(f"the task's image cannot be fetched now: {failed}")

"""A task's input file: what its runner must know to ask for the rest. Its bytes never change while the task lives."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Final

import msgspec

from fallow.control.boinc.tasks import Tasks
from fallow.control.boinc.uploads import ANSWER_BYTES_MAX
from fallow.core.refusals import Code, Refusal
from fallow.protocols.boinc import names
from fallow.settings import Settings
from fallow.store.port import Leased

TICKET_VERSION: Final = 1
_KEPT: Final = 1024  # of the newest: a client fetches its ticket right after the call that named it
_ENCODE: Final = msgspec.json.Encoder(order="deterministic").encode


class Tickets:
    """Makes tickets, for the reply that names one and for the client that fetches it. Safe to use from many threads."""

    def __init__(self, tasks: Tasks, settings: Settings, secret: bytes) -> None:
        self._tasks = tasks
        self._settings = settings
        self._secret = secret
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def name(self, result_id: int) -> str:
        return names.file_name("ticket", result_id, names.token_of(self._secret, result_id))

    def ticket(self, job_id: str, result_id: int, worker_id: str, chunks: Sequence[Leased]) -> bytes:
        """The bytes, as JSON."""
        base, name = f"{self._settings.base_url}/boinc", self.name(result_id)
        made = _ENCODE(
            {
                "ticket_version": TICKET_VERSION,
                "result": names.result_name(job_id, result_id),
                "worker_id": worker_id,
                "lease_url": f"{base}/lease/{name}",
                "image_url": f"{base}/image/{name}",
                "inline_bytes_max": self._settings.inline_bytes_max,
                "answer_bytes_max": ANSWER_BYTES_MAX,
                "ai_batch": [
                    {
                        "job_id": job_id,
                        "chunk_id": each.chunk_id,
                        "range_start": each.item_start,
                        "range_end": each.item_start + each.item_count - 1,
                    }
                    for each in chunks
                ],
            }
        )
        with self._lock:
            self._kept[name] = made
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made

    def kept(self, name: str) -> bytes | None:
        """A ticket that this process made a moment ago; None: bytes_of() may know it."""
        return self._kept.get(name)

    def bytes_of(self, name: str) -> bytes:
        """A ticket by its file's name. Raises Refusal NOT_FOUND."""
        if (made := self.kept(name)) is not None:
            return made
        result_id = self.result_of(name)
        if result_id is None:
            raise Refusal(Code.NOT_FOUND, "There is no such file.")
        task = self._tasks.one(result_id)
        return self.ticket(task.job.job_id, result_id, task.result.worker_id, task.everything)

    def result_of(self, name: str) -> int | None:
        """Whose ticket this is; None when the name was never given by us."""
        parsed = names.parse_file_name(name)
        if parsed is None or parsed.kind != "ticket" or not names.is_ours(self._secret, parsed):
            return None
        return parsed.result_id

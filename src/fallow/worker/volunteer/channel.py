"""Talks with the client through the file that both map into memory: 8 channels of 1024 bytes.

Byte 0 of a channel says that a message is there; its text follows, with a zero byte behind it. The reader clears
byte 0.
Source: BOINC lib/app_ipc.h (SHARED_MEM, MSG_CHANNEL), lib/app_ipc.cpp, api/boinc_api.cpp.
"""

import mmap
import time
from dataclasses import dataclass
from pathlib import Path

FILE = "boinc_mmap_file"
CHANNEL_BYTES = 1024
CHANNELS = 8
CONTROL, HEARTBEAT, STATUS = 0, 4, 5
HEARTBEAT_SECONDS = 30.0
STATUS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """cpu_seconds: used so far by this task, over all starts. kept_cpu_seconds: what a restart would not repeat.
    process: the first of a container that runs, 0 for none: the client adds up its memory, and does not take its
    processor time for somebody else's, for which it would pause the task."""

    cpu_seconds: float = 0.0
    kept_cpu_seconds: float = 0.0
    fraction: float = 0.0
    process: int = 0

    def message(self) -> str:
        """As the client reads it."""
        return (
            f"<current_cpu_time>{self.cpu_seconds:e}</current_cpu_time>\n"
            f"<checkpoint_cpu_time>{self.kept_cpu_seconds:e}</checkpoint_cpu_time>\n"
            f"<fraction_done>{self.fraction:e}</fraction_done>\n"
            + (f"<other_pid>{self.process}</other_pid>\n" if self.process else "")
        )


class Channel:
    """One end of the talk; silent where the client made no file, as when the program is started by hand."""

    def __init__(self, slot: Path) -> None:
        self._memory: mmap.mmap | None = None
        self._heard = self._told = time.monotonic()
        path = slot / FILE
        if path.exists() and path.stat().st_size >= CHANNELS * CHANNEL_BYTES:
            with path.open("r+b") as file:
                self._memory = mmap.mmap(file.fileno(), CHANNELS * CHANNEL_BYTES)

    def requests(self) -> list[str]:
        """What the client asks for since the last call: of "suspend", "resume", "quit", "abort"."""
        message = self._take(CONTROL)
        return [word for word in ("suspend", "resume", "quit", "abort") if f"<{word}/>" in message]

    def client_is_gone(self) -> bool:
        """Whether the client has been silent for longer than one that lives ever is."""
        if self._memory is None:
            return False
        if self._take(HEARTBEAT):
            self._heard = time.monotonic()
        return time.monotonic() - self._heard > HEARTBEAT_SECONDS

    @property
    def is_due(self) -> bool:
        """Whether the client should hear of the progress again."""
        return self._memory is not None and time.monotonic() - self._told >= STATUS_SECONDS

    def tell(self, progress: Progress) -> None:
        """Only when the client has read the message before."""
        if self._memory is None:
            return
        start = STATUS * CHANNEL_BYTES
        if self._memory[start]:
            return
        text = progress.message().encode()[: CHANNEL_BYTES - 2] + b"\0"
        self._memory[start + 1 : start + 1 + len(text)] = text
        self._memory[start] = 1
        self._told = time.monotonic()

    def close(self) -> None:
        if self._memory is not None:
            self._memory.close()

    def _take(self, channel: int) -> str:
        """The message, taken away; "" when there is none."""
        if self._memory is None:
            return ""
        start = channel * CHANNEL_BYTES
        if not self._memory[start]:
            return ""
        text = bytes(self._memory[start + 1 : start + CHANNEL_BYTES]).partition(b"\0")[0].decode("latin-1")
        self._memory[start] = 0
        return text

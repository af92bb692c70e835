"""Follows a job's server-sent events; after a cut it goes on behind the last one it saw."""

from collections.abc import Iterable, Iterator

from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest.jobs import StoryLine
from fallow.sdk.transport import RETRIES, Transport, decoded, pause

_SILENCE_SECONDS = 60.0  # the server sends a comment more often


def follow_events(transport: Transport, path: str, after: int) -> Iterator[StoryLine]:
    """Story lines behind `after`, until the job is over."""
    failures = 0
    while True:
        try:
            headers = {"accept": "text/event-stream", "last-event-id": str(after)}
            with transport.stream(path, headers=headers, silence_seconds=_SILENCE_SECONDS) as answer:
                for event, data in _events(answer.iter_lines()):
                    if event == "over":
                        return
                    line = decoded(StoryLine, data.encode())
                    after, failures = line.story_id, 0
                    yield line
        except Refusal as refusal:
            if refusal.code is not Code.SERVER_UNREACHABLE or failures == RETRIES:
                raise
        failures = min(failures + 1, RETRIES)
        pause(failures)


def _events(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(event, data) of each event (WHATWG HTML, 9.2.6); what is cut off at the end is left out."""
    event = "message"
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield event, "\n".join(data)
            event, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            event = value
        elif field == "data":
            data.append(value)

"""How logs look: lines for people on a terminal, JSON for machines. An event name and fields; never a secret."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, TextIO

import structlog

from fallow.core.chapter import Chapter, Move
from fallow.core.lifecycle import AttemptEvent, ChunkEvent, JobEvent

FORMATS: Final = ("", "text", "json")
LEVELS: Final[Mapping[str, int]] = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
_SECRET: Final = re.compile(
    r"(flw_[0-9a-f]+_)[0-9a-f]+"  # an API key; what is before its secret names it
    r"|(/bytes/)[\w-]{16,}"  # a signed URL's token
    r"|(whsec_)[\w+/=-]+"
    r"|([Bb]earer )[\w.~+/=-]+"
    r"|(://[^\s/:@\"']+:)[^\s/@\"']+(?=@)"  # a password in a URL
    r"|((?:passwd_hash|account_key|authenticator|auth_str)=)[^\s&\"']+"  # as BOINC's clients write them into URLs
)
_TROUBLE: Final = frozenset(
    {
        AttemptEvent.FAIL,
        AttemptEvent.EXPIRE,
        AttemptEvent.DISAGREE,
        ChunkEvent.FAIL,
        ChunkEvent.SPLIT,
        ChunkEvent.REFUSE,
    }
)
_PERHAPS_NEWS: Final = _TROUBLE | frozenset(JobEvent)
_story_log = structlog.get_logger("fallow.story")


def configure_logs(stream: TextIO = sys.stderr, *, level: str = "info", form: str = "") -> None:
    """Sends every log line of this process to the stream. level: of LEVELS. form: of FORMATS; "" asks the stream."""
    text = form == "text" or (not form and stream.isatty())
    first: list[Any] = [structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)]
    last = [*(_for_people(stream) if text else _for_machines()), _without_secrets]
    structlog.configure(
        processors=[*first, *last],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    others = logging.StreamHandler(stream)
    others.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last], foreign_pre_chain=first
        )
    )
    logging.basicConfig(handlers=[others], level=logging.WARNING, force=True)


def _for_people(stream: TextIO) -> list[Any]:
    # Tracebacks without local variables, here and below: those may hold tokens.
    return [
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback),
    ]


def _for_machines() -> list[Any]:
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer()]


def _without_secrets(_logger: object, _method: str, line: Any) -> Any:
    """The last to look at a line: whatever got into it, a secret does not leave."""
    return _SECRET.sub(lambda found: "".join(filter(None, found.groups())) + "...", line)


class MoveLog:
    """A witness that writes a line for each move: `attempt.leased job=job-7 chunk=42 attempt=31 worker=w-9`.

    Jobs' moves and trouble are told at the level info, the hundreds a second that go well only at debug.
    """

    def heard(self, chapter: Chapter) -> None:
        """Writes the chapter down."""
        everything = _story_log.is_enabled_for(logging.DEBUG)
        for move in _worth_telling(chapter, everything=everything):
            tell = _story_log.info if _is_news(move.chunk_id, move.event) else _story_log.debug
            spec = chapter.spec_of(move.job_key)
            tell(_name(move), job=spec.job_id if spec else f"#{move.job_key}", **_fields(move))


def _worth_telling(chapter: Chapter, *, everything: bool) -> list[Move]:
    if everything:
        return list(chapter.moves())
    if _PERHAPS_NEWS.isdisjoint([row[6] for row in chapter.rows]):  # nearly always, and so it is asked first
        return []
    return [move for move in chapter.moves() if _is_news(move.chunk_id, move.event)]


def _is_news(chunk_id: int | None, event: str) -> bool:
    return chunk_id is None or event in _TROUBLE


def _name(move: Move) -> str:
    what = "job" if move.chunk_id is None else "chunk" if move.attempt_id is None else "attempt"
    return f"{what}.{move.to_state}"


def _fields(move: Move) -> dict[str, object]:
    """What there is of it, in the order of going into detail."""
    who, _, name = move.by.partition(" ")
    fields: dict[str, object] = {
        "chunk": move.chunk_id,
        "attempt": move.attempt_id,
        **({"worker": name} if who == "worker" else {"by": move.by}),
        "cause": move.cause or None,
    }
    if move.age_micros > 0:
        fields["after_seconds"] = round(move.age_micros / 1e6, 3)
    return {key: value for key, value in fields.items() if value is not None}

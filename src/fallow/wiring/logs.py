"""How logs look: lines for people on a terminal, JSON for machines. An event name and fields; never a secret."""

import logging
import sys
from typing import Any, TextIO

import structlog


def configure_logs(stream: TextIO = sys.stderr, *, verbose: bool = False) -> None:
    """Sends every log line of this process to the stream. verbose: also one line a request."""
    level = logging.DEBUG if verbose else logging.INFO
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(_for_people() if stream.isatty() else _for_machines()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=stream, level=logging.WARNING, force=True)


def _for_people() -> list[Any]:
    # Tracebacks without local variables, here and below: those may hold tokens.
    return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]


def _for_machines() -> list[Any]:
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer()]

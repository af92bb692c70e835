"""Law: every state, and every move between states, is in this file. Nothing else may write a state.

docs/lifecycle.md is drawn from these tables (`python -m fallow.core.lifecycle`), and a test fails when it is stale.
A row whose left state is None is a birth.
"""

from enum import StrEnum
from typing import Final, TypeVar

from fallow.core.notices import DeliveryState as D
from fallow.core.words import AttemptState as A
from fallow.core.words import ChunkState as C
from fallow.core.words import JobState as J
from fallow.core.words import UploadState as U

S = TypeVar("S")
E = TypeVar("E")


class JobEvent(StrEnum):
    SUBMIT = "submit"
    PLANNED = "planned"
    PAUSE = "pause"
    RESUME = "resume"
    MERGE = "merge"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"
    EXPIRE = "expire"
    RERUN = "rerun"


class ChunkEvent(StrEnum):
    PLAN = "plan"
    OPEN = "open"
    VERIFY = "verify"
    MORE = "more"
    ACCEPT = "accept"
    FAIL = "fail"
    SPLIT = "split"
    CANCEL = "cancel"
    REFUSE = "refuse"
    RERUN = "rerun"


class AttemptEvent(StrEnum):
    QUEUE = "queue"
    SALVAGE = "salvage"
    LEASE = "lease"
    DROP = "drop"
    REPORT = "report"
    FAIL = "fail"
    ABORT = "abort"
    EXPIRE = "expire"
    AGREE = "agree"
    DISAGREE = "disagree"


class UploadEvent(StrEnum):
    CREATE = "create"
    COMPLETE = "complete"
    CANCEL = "cancel"
    EXPIRE = "expire"


class DeliveryEvent(StrEnum):
    MAKE = "make"
    CLAIM = "claim"
    CONFIRM = "confirm"
    RETRY = "retry"
    GIVE_UP = "give_up"
    DROP = "drop"
    SEND_AGAIN = "send_again"


JOB: Final[dict[tuple[J | None, JobEvent], J]] = {
    (None, JobEvent.SUBMIT): J.PLANNING,
    (J.PLANNING, JobEvent.PLANNED): J.RUNNING,
    (J.PLANNING, JobEvent.FAIL): J.FAILED,  # the input went away or changed under the planner
    (J.PLANNING, JobEvent.CANCEL): J.CANCELLED,
    (J.PLANNING, JobEvent.EXPIRE): J.EXPIRED,
    (J.PLANNING, JobEvent.PAUSE): J.PAUSED,
    (J.RUNNING, JobEvent.PAUSE): J.PAUSED,
    (J.PAUSED, JobEvent.RESUME): J.RUNNING,  # the planner goes on where it was, if it was not through
    (J.PAUSED, JobEvent.CANCEL): J.CANCELLED,
    (J.PAUSED, JobEvent.EXPIRE): J.EXPIRED,
    (J.RUNNING, JobEvent.MERGE): J.MERGING,  # every chunk is over
    (J.RUNNING, JobEvent.FAIL): J.FAILED,  # too many items failed; outputs so far stay readable
    (J.RUNNING, JobEvent.CANCEL): J.CANCELLED,
    (J.RUNNING, JobEvent.EXPIRE): J.EXPIRED,
    (J.MERGING, JobEvent.COMPLETE): J.COMPLETED,
    (J.MERGING, JobEvent.FAIL): J.FAILED,
    (J.MERGING, JobEvent.CANCEL): J.CANCELLED,
    (J.PAUSED, JobEvent.FAIL): J.FAILED,
    (J.COMPLETED, JobEvent.RERUN): J.RUNNING,  # only what is missing or failed runs again
    (J.FAILED, JobEvent.RERUN): J.RUNNING,
    (J.CANCELLED, JobEvent.RERUN): J.RUNNING,
    (J.EXPIRED, JobEvent.RERUN): J.RUNNING,
}

CHUNK: Final[dict[tuple[C | None, ChunkEvent], C]] = {
    (None, ChunkEvent.PLAN): C.PLANNED,
    (C.PLANNED, ChunkEvent.OPEN): C.OPEN,
    (C.PLANNED, ChunkEvent.REFUSE): C.FAILED,  # an item that can never be sent, such as a line of 2 GB
    (C.PLANNED, ChunkEvent.CANCEL): C.CANCELLED,
    (C.OPEN, ChunkEvent.VERIFY): C.VERIFYING,  # BOINC: need_validate = 1
    (C.OPEN, ChunkEvent.FAIL): C.FAILED,  # BOINC: TOO_MANY_ERROR_RESULTS, TOO_MANY_TOTAL_RESULTS
    (C.OPEN, ChunkEvent.SPLIT): C.SPLIT,
    (C.OPEN, ChunkEvent.CANCEL): C.CANCELLED,
    (C.VERIFYING, ChunkEvent.MORE): C.OPEN,  # the answers differ or were bad: another attempt is needed
    (C.VERIFYING, ChunkEvent.ACCEPT): C.DONE,  # BOINC: canonical result found
    (C.VERIFYING, ChunkEvent.CANCEL): C.CANCELLED,
    (C.FAILED, ChunkEvent.RERUN): C.PLANNED,
    (C.CANCELLED, ChunkEvent.RERUN): C.PLANNED,
}

ATTEMPT: Final[dict[tuple[A | None, AttemptEvent], A]] = {
    (None, AttemptEvent.QUEUE): A.QUEUED,
    (None, AttemptEvent.SALVAGE): A.REPORTED,  # the finished head of an attempt that failed later on
    (A.QUEUED, AttemptEvent.LEASE): A.LEASED,
    (A.QUEUED, AttemptEvent.DROP): A.DROPPED,  # not needed any more; BOINC: DIDNT_NEED
    (A.LEASED, AttemptEvent.REPORT): A.REPORTED,
    (A.LEASED, AttemptEvent.FAIL): A.ERRORED,  # BOINC: CLIENT_ERROR
    (A.LEASED, AttemptEvent.ABORT): A.ABORTED,  # by the worker's owner, or because nobody needs it any more
    (A.LEASED, AttemptEvent.EXPIRE): A.LOST,  # its deadline passed in silence; BOINC: NO_REPLY
    (A.LOST, AttemptEvent.REPORT): A.REPORTED,  # "late in arriving, but keep it anyhow": sched/sched_result.cpp
    (A.REPORTED, AttemptEvent.AGREE): A.VALID,
    (A.REPORTED, AttemptEvent.DISAGREE): A.INVALID,
}

DELIVERY: Final[dict[tuple[D | None, DeliveryEvent], D]] = {
    (None, DeliveryEvent.MAKE): D.WAITING,
    (D.WAITING, DeliveryEvent.CLAIM): D.SENDING,
    (D.WAITING, DeliveryEvent.DROP): D.DROPPED,  # the webhook is gone, the mail is not wanted any more
    (D.SENDING, DeliveryEvent.CLAIM): D.SENDING,  # its sender died: the same letter, under the same name, once more
    (D.SENDING, DeliveryEvent.CONFIRM): D.DELIVERED,
    (D.SENDING, DeliveryEvent.RETRY): D.WAITING,
    (D.SENDING, DeliveryEvent.GIVE_UP): D.FAILED,
    (D.SENDING, DeliveryEvent.DROP): D.DROPPED,
    (D.DELIVERED, DeliveryEvent.SEND_AGAIN): D.WAITING,  # its owner asked for it
    (D.FAILED, DeliveryEvent.SEND_AGAIN): D.WAITING,
    (D.DROPPED, DeliveryEvent.SEND_AGAIN): D.WAITING,
}

UPLOAD: Final[dict[tuple[U | None, UploadEvent], U]] = {
    (None, UploadEvent.CREATE): U.PENDING,
    (U.PENDING, UploadEvent.COMPLETE): U.COMPLETED,  # its parts are one file now
    (U.PENDING, UploadEvent.CANCEL): U.CANCELLED,
    (U.PENDING, UploadEvent.EXPIRE): U.EXPIRED,  # an hour after it began; its parts are removed
}

JOB_OVER: Final = frozenset({J.COMPLETED, J.FAILED, J.CANCELLED, J.EXPIRED})
CHUNK_OVER: Final = frozenset({C.DONE, C.FAILED, C.CANCELLED, C.SPLIT})
ATTEMPT_ANSWERED: Final = frozenset({A.REPORTED, A.VALID, A.INVALID})
ATTEMPT_OVER: Final = frozenset({A.VALID, A.INVALID, A.ERRORED, A.DROPPED, A.ABORTED})
DELIVERY_OVER: Final = frozenset({D.DELIVERED, D.FAILED, D.DROPPED})
UPLOAD_OVER: Final = frozenset({U.COMPLETED, U.CANCELLED, U.EXPIRED})


class IllegalMove(Exception):
    """Somebody asked for a move that is not in the tables."""


def job_after(state: J | None, event: JobEvent) -> J:
    """The job's state after the event. Raises IllegalMove."""
    return _after(JOB, state, event, "job")


def chunk_after(state: C | None, event: ChunkEvent) -> C:
    """The chunk's state after the event. Raises IllegalMove."""
    return _after(CHUNK, state, event, "chunk")


def attempt_after(state: A | None, event: AttemptEvent) -> A:
    """The attempt's state after the event. Raises IllegalMove."""
    return _after(ATTEMPT, state, event, "attempt")


def delivery_after(state: D | None, event: DeliveryEvent) -> D:
    """The delivery's state after the event. Raises IllegalMove."""
    return _after(DELIVERY, state, event, "delivery")


def upload_after(state: U | None, event: UploadEvent) -> U:
    """The upload's state after the event. Raises IllegalMove."""
    return _after(UPLOAD, state, event, "upload")


def _after(table: dict[tuple[S | None, E], S], state: S | None, event: E, what: str) -> S:
    try:
        return table[state, event]
    except KeyError:
        raise IllegalMove(f"a {what} that is {state or 'not there'} cannot {event}") from None


if __name__ == "__main__":
    import sys

    from fallow.core.lifecycle_page import page

    sys.stdout.write(page())

"""BOINC's numbers for what became of an attempt, and our words for the numbers that a client reports.

Sources: BOINC db/boinc_db_types.h (RESULT_SERVER_STATE_*, RESULT_OUTCOME_*, VALIDATE_STATE_*), lib/common_defs.h
(RESULT_CLIENT_STATE: RESULT_NEW and on), lib/error_numbers.h (EXIT_* and ERR_*).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from fallow.core.words import AttemptState, FailureClass


class ServerState(IntEnum):
    INACTIVE = 1
    UNSENT = 2
    IN_PROGRESS = 4
    OVER = 5


class Outcome(IntEnum):
    INIT = 0
    SUCCESS = 1
    COULDNT_SEND = 2
    CLIENT_ERROR = 3
    NO_REPLY = 4
    DIDNT_NEED = 5
    VALIDATE_ERROR = 6
    CLIENT_DETACHED = 7


class ValidateState(IntEnum):
    INIT = 0
    VALID = 1
    INVALID = 2
    NO_CHECK = 3
    INCONCLUSIVE = 4
    TOO_LATE = 5


class ClientState(IntEnum):
    NEW = 0
    DOWNLOADING = 1
    DOWNLOADED = 2
    COMPUTE_ERROR = 3
    UPLOADING = 4
    UPLOADED = 5
    ABORTED = 6
    UPLOAD_FAILED = 7


@dataclass(frozen=True, slots=True)
class Triple:
    """An attempt as a BOINC result. client_state: what its client would have said last."""

    server_state: ServerState
    outcome: Outcome = Outcome.INIT
    validate_state: ValidateState = ValidateState.INIT
    client_state: ClientState = ClientState.NEW


_OVER: Final = ServerState.OVER
_TRIPLES: Final[Mapping[AttemptState, Triple]] = {
    AttemptState.QUEUED: Triple(ServerState.UNSENT),
    AttemptState.LEASED: Triple(ServerState.IN_PROGRESS),
    AttemptState.REPORTED: Triple(_OVER, Outcome.SUCCESS, client_state=ClientState.UPLOADED),
    AttemptState.VALID: Triple(_OVER, Outcome.SUCCESS, ValidateState.VALID, ClientState.UPLOADED),
    AttemptState.INVALID: Triple(_OVER, Outcome.SUCCESS, ValidateState.INVALID, ClientState.UPLOADED),
    AttemptState.ERRORED: Triple(_OVER, Outcome.CLIENT_ERROR, client_state=ClientState.COMPUTE_ERROR),
    AttemptState.LOST: Triple(_OVER, Outcome.NO_REPLY),
    AttemptState.DROPPED: Triple(_OVER, Outcome.DIDNT_NEED),
    AttemptState.ABORTED: Triple(_OVER, Outcome.CLIENT_ERROR, client_state=ClientState.ABORTED),
}

_WORKER, _LIMITS, _ABORTED = FailureClass.WORKER, FailureClass.LIMITS, FailureClass.ABORTED
_EXITS: Final[Mapping[int, tuple[str, FailureClass, str, str]]] = {
    # number: its name in BOINC, and whose fault it is, our code, the sentence
    192: ("EXIT_STATEFILE_WRITE", _WORKER, "engine_error", "The task could not write its state."),
    193: ("EXIT_SIGNAL", _WORKER, "engine_error", "The task was ended by a signal."),
    194: ("EXIT_ABORTED_BY_CLIENT", _WORKER, "engine_error", "The BOINC client gave the task up."),
    195: ("EXIT_CHILD_FAILED", _WORKER, "engine_error", "A process of the task failed."),
    196: ("EXIT_DISK_LIMIT_EXCEEDED", _LIMITS, "disk_limit", "The task used more disk than it may."),
    197: ("EXIT_TIME_LIMIT_EXCEEDED", _LIMITS, "chunk_timeout", "The task took longer than it may."),
    198: ("EXIT_MEM_LIMIT_EXCEEDED", _WORKER, "out_of_memory", "The task needed more memory than BOINC may use there."),
    199: ("EXIT_CLIENT_EXITING", _ABORTED, "stopped", "The BOINC client was ended."),
    200: ("EXIT_UNSTARTED_LATE", _WORKER, "overdue", "The task was past its deadline before it was begun."),
    201: ("EXIT_MISSING_COPROC", _WORKER, "accelerator_missing", "The machine's accelerator is gone."),
    202: ("EXIT_ABORTED_BY_PROJECT", _ABORTED, "stopped", "The task was not needed any more."),
    203: ("EXIT_ABORTED_VIA_GUI", _ABORTED, "stopped", "The machine's owner stopped the task."),
    204: ("EXIT_UNKNOWN", _WORKER, "engine_error", "The task ended in a way that BOINC does not know."),
    205: ("EXIT_OUT_OF_MEMORY", _WORKER, "out_of_memory", "The machine had no memory left for the task."),
    206: ("EXIT_INIT_FAILURE", _WORKER, "engine_error", "The task could not begin."),
    207: ("EXIT_NO_SUB_TASKS", _WORKER, "engine_error", "The task found nothing to do."),
    208: ("EXIT_SUB_TASK_FAILURE", _WORKER, "engine_error", "A part of the task failed."),
    209: ("EXIT_OVERDUE_EXCEEDED", _WORKER, "overdue", "The task was too long past its deadline."),
    -119: ("ERR_MD5_FAILED", _WORKER, "download_failed", "A file arrived with a wrong checksum."),
    -120: ("ERR_RSA_FAILED", _WORKER, "download_failed", "The client did not accept the program's signature."),
    -123: ("ERR_NO_SIGNATURE", _WORKER, "download_failed", "The client found no signature of the program."),
    -131: ("ERR_FILE_TOO_BIG", _WORKER, "answer_too_large", "The task's answer is larger than it may be."),
    -161: ("ERR_NOT_FOUND", _WORKER, "answer_missing", "The task left no answer."),
    -185: ("ERR_RESULT_START", _WORKER, "engine_error", "The client could not start the task."),
    -186: ("ERR_RESULT_DOWNLOAD", _WORKER, "download_failed", "The client could not download the task's files."),
    -187: ("ERR_RESULT_UPLOAD", _WORKER, "upload_failed", "The client could not upload the task's answer."),
    -200: ("ERR_WRONG_SIZE", _WORKER, "download_failed", "A file arrived with a wrong size."),
    -224: ("ERR_HTTP_PERMANENT", _WORKER, "download_failed", "The server did not give the client a file."),
    -226: ("ERR_TOO_MANY_EXITS", _WORKER, "engine_error", "The task ended too often without a result."),
}
_STATES: Final[Mapping[int, tuple[FailureClass, str, str]]] = {
    # what the client's state says when the number says nothing
    ClientState.DOWNLOADING: (_WORKER, "download_failed", "The client could not download the task's files."),
    ClientState.UPLOADED: (_WORKER, "answer_missing", "The task left no answer."),
    ClientState.ABORTED: (_ABORTED, "stopped", "The machine's owner stopped the task."),
    ClientState.UPLOAD_FAILED: (_WORKER, "upload_failed", "The client could not upload the task's answer."),
}


def triple_of(state: AttemptState) -> Triple:
    """BOINC's view of a state of ours."""
    return _TRIPLES[state]


def failure_of(client_state: int, exit_status: int) -> tuple[FailureClass, str, str]:
    """(whose fault, code, sentence) of a result that a client reports without an answer of ours. Never raises.

    The submitter is never to blame here: what its image does wrong, the runner says in its own words.
    """
    if (known := _EXITS.get(_signed(exit_status))) is not None:
        return known[1:]
    if exit_status == 0 or client_state == ClientState.ABORTED:
        return _STATES.get(client_state) or (_WORKER, "answer_missing", "The task left no answer.")
    return _WORKER, "engine_error", "The task's program failed."


def exit_name(exit_status: int) -> str:
    """BOINC's name of a number, as its pages show it; "" for one that it has no name for."""
    known = _EXITS.get(_signed(exit_status))
    return known[0] if known else ""


def _signed(exit_status: int) -> int:
    """Windows says -186 as 4294967110."""
    return exit_status - 2**32 if exit_status >= 2**31 else exit_status

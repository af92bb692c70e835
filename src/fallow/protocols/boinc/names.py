"""Names that clients see: results, workunits, files, and in which of 1024 directories a file is.

A result's files carry a token that nobody can guess: who knows it was sent the result.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

APP_NAME: Final = "fallow"
FANOUT: Final = 1024
TOKEN_CHARS: Final = 32
_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z")
_RESULT: Final = re.compile(r"(?P<job>[A-Za-z0-9._-]{1,120})_r(?P<number>[0-9]{1,15})_0\Z")
_FILE: Final = re.compile(r"(?P<kind>ticket|answer)_(?P<number>[0-9]{1,15})_(?P<token>[0-9a-f]{32})\Z")


@dataclass(frozen=True, slots=True)
class ResultFile:
    """kind: "ticket" (what the client downloads) or "answer" (what it uploads)."""

    kind: str
    result_id: int
    token: str


def is_safe(name: str) -> bool:
    """Whether this can be a file's name: one component, nothing hidden, nothing that a path could be made of."""
    return bool(_SAFE.match(name)) and ".." not in name


def workunit_name(job_id: str, result_id: int) -> str:
    return f"{re.sub(r'[^A-Za-z0-9._-]', '-', job_id)[:120]}_r{result_id}"


def result_name(job_id: str, result_id: int) -> str:
    return workunit_name(job_id, result_id) + "_0"


def result_id_of(name: str) -> int | None:
    """The number in a result's name; None for a name that we never gave."""
    match = _RESULT.match(name)
    return int(match["number"]) if match else None


def file_name(kind: str, result_id: int, token: str) -> str:
    return f"{kind}_{result_id}_{token}"


def parse_file_name(name: str) -> ResultFile | None:
    """None for a name that we never gave. Whether its token is ours, token_of() tells."""
    match = _FILE.match(name)
    return ResultFile(match["kind"], int(match["number"]), match["token"]) if match else None


def token_of(secret: bytes, result_id: int) -> str:
    """The token of a result's files."""
    return hmac.new(secret, b"boinc-result:%d" % result_id, "sha256").hexdigest()[:TOKEN_CHARS]


def is_ours(secret: bytes, file: ResultFile) -> bool:
    return hmac.compare_digest(file.token, token_of(secret, file.result_id))


def directory_of(name: str) -> str:
    """One of 1024 directories, "0" to "3ff", by the MD5 of the file's name.

    Source: BOINC lib/util.cpp, dir_hier_path(): hexadecimal digits 1 to 7 of the digest, modulo the fan-out.
    """
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return f"{int(digest[1:8], 16) % FANOUT:x}"

"""Items that come with files of their own: the lines of an input of the format `bundles`, made ready for workers.

Each line is a JSON object. Its "files" are [{"open_name", "uri"}], with "sha256", "md5" and "size_bytes" where the
submitter knows them; one with "text" instead of "uri" has that content. "command_line" is what the image finds in the
variable ARGS. What comes over http(s) is kept once with the job, so that workers never fetch a stranger's URL and all
of them see the same bytes.

An item whose files cannot be had is no reason to stop the others: its line then says why, under "refused", and its
answer is that error.
"""

import hashlib
import re
from collections.abc import Generator, Iterator
from typing import Any, Final

import msgspec

from fallow.artifacts.locations import Source
from fallow.artifacts.port import Writer
from fallow.control.batch_lines import bounded_lines
from fallow.control.places import OWN, Places
from fallow.core.job import ITEM_BYTES_MAX, MIB
from fallow.core.refusals import Code, Refusal

FILES_MAX: Final = 200
FILE_BYTES_MAX: Final = 4096 * MIB
OPEN_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=@~-]{0,199}\Z")
LINES_FILE: Final = "items.jsonl"  # what the item's own line is called beside its files
_BLOB: Final = re.compile(r"fallow:blobs/([0-9a-f]{64})\Z")
Made = Generator[bytes, None, dict[str, Any]]
_OUTAGES: Final = (Code.STORAGE_UNREACHABLE, Code.STORAGE_FULL)


def bundle_lines(source: Source, places: Places, job_id: str) -> Iterator[bytes]:
    """The lines as workers and the door read them; empty pieces while a file is fetched, so that whoever waits knows
    that it goes on. Raises Refusal INPUT_FORMAT for what is not such a line at all."""
    number = 0
    for line in bounded_lines(source.stream(), ITEM_BYTES_MAX):
        if line is None:
            raise _malformed(number, f"it is longer than {ITEM_BYTES_MAX // MIB} MiB")
        if line.strip():
            item = yield from _ready(_parsed(line, number), places, f"jobs/{job_id}/files/{number}")
            yield msgspec.json.encode(item) + b"\n"
            number += 1


def _parsed(line: bytes, number: int) -> dict[str, Any]:
    try:
        item = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        raise _malformed(number, "it is not JSON") from None
    files = item.get("files", []) if isinstance(item, dict) else None
    if not isinstance(files, list) or len(files) > FILES_MAX or not all(isinstance(each, dict) for each in files):
        raise _malformed(number, f'its "files" must be a list of up to {FILES_MAX} objects')
    names = [each.get("open_name") for each in files]
    for name in names:
        if not isinstance(name, str) or not OPEN_NAME.match(name) or name == LINES_FILE or names.count(name) > 1:
            raise _malformed(number, f'"open_name" {str(name)[:80]!r} cannot name one of its files')
    if not isinstance(item.get("command_line", ""), str) or "\0" in item.get("command_line", ""):
        raise _malformed(number, '"command_line" must be a text')
    item.pop("refused", None)
    return dict(item)


def _ready(item: dict[str, Any], places: Places, key: str) -> Made:
    files = []
    try:
        for place, each in enumerate(item.get("files", [])):
            files.append((yield from _file(each, places, f"{key}/{place}")))
    except Refusal as refusal:
        if refusal.code in _OUTAGES:
            raise
        return {**item, "files": [], "refused": {"code": str(refusal.code), "message": refusal.message}}
    return {**item, "files": files}


def _file(said: dict[str, Any], places: Places, key: str) -> Made:
    """The file with the place, the size and, where it is known, the digest of its bytes."""
    uri, name = str(said.get("uri", "")), said["open_name"]
    if isinstance(said.get("text"), str):
        return {"open_name": name, "text": said["text"]}
    wanted_size, wanted_sha256 = said.get("size_bytes"), str(said.get("sha256") or "")
    if uri.startswith(("http://", "https://")):
        return {"open_name": name, **(yield from _kept(uri, said, places, key))}
    if uri.lower().startswith(OWN):
        found = _BLOB.match(uri)
        if found is None:
            raise Refusal(Code.INPUT_NOT_ALLOWED, f"{uri[:100]} is not an uploaded file.", "Upload the file first.")
        sha256 = found[1]
    else:
        sha256 = wanted_sha256
    head = places.open_source(uri).head()
    _check(uri, wanted_size, head.size_bytes, wanted_sha256, sha256)
    return {"open_name": name, "uri": uri, "sha256": sha256, "size_bytes": head.size_bytes, "etag": head.etag}


def _kept(uri: str, said: dict[str, Any], places: Places, key: str) -> Made:
    """A file from the web, kept with the job. Raises Refusal DIGEST_MISMATCH or TOO_LARGE."""
    size_max = said.get("size_bytes")
    size_max = size_max if isinstance(size_max, int) else FILE_BYTES_MAX
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with places.artifacts.stream_writer(key) as writer:
        for piece in places.open_source(uri).stream():
            sha256.update(piece)
            md5.update(piece)
            writer.write(piece)
            if writer.size_bytes > min(size_max, FILE_BYTES_MAX):
                raise Refusal(Code.TOO_LARGE, f"{uri[:200]} is larger than it was said to be.", "Check the URL.")
            yield b""
        _check(uri, said.get("size_bytes"), writer.size_bytes, str(said.get("sha256") or ""), sha256.hexdigest())
        if said.get("md5") and said["md5"] != md5.hexdigest():
            raise _other_bytes(uri)
    return _place(key, writer, sha256.hexdigest())


def _place(key: str, writer: Writer, sha256: str) -> dict[str, Any]:
    return {"uri": f"{OWN}{key}", "sha256": sha256, "size_bytes": writer.size_bytes, "etag": writer.stored.etag}


def _check(uri: str, size_said: object, size_bytes: int, sha256_said: str, sha256: str) -> None:
    if size_bytes > FILE_BYTES_MAX:
        raise Refusal(Code.TOO_LARGE, f"{uri[:200]} is larger than {FILE_BYTES_MAX} bytes.", "Split it.")
    if size_said not in (None, size_bytes) or (sha256_said and sha256_said != sha256):
        raise _other_bytes(uri)


def _other_bytes(uri: str) -> Refusal:
    return Refusal(Code.DIGEST_MISMATCH, f"The file {uri[:200]} is not the one that was meant.", "Check the file.")


def _malformed(number: int, why: str) -> Refusal:
    return Refusal(Code.INPUT_FORMAT, f"Item {number} is no bundle: {why}.", "See docs/guide.md.")

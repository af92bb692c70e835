"""The data server's protocol: how much of a file is there, and here is the rest of it. Bytes to values and back.

An upload is XML that breaks off at "<data>" and a newline, and then the file's bytes.
Source: BOINC sched/file_upload_handler.cpp, handle_request().
"""

import re
from dataclasses import dataclass
from typing import Final

from fallow.protocols.boinc.xml import Scanner, Unreadable, escaped, text_of

HEAD_BYTES_MAX: Final = 16 << 10
MESSAGE_CHARS_MAX: Final = 600  # escaped still less than the 4 KB that a client reads
SIZE_MAX: Final = 2**53
_DATA: Final = b"<data>\n"
_NAME_CHARS_MAX: Final = 255
_MD5: Final = re.compile(r"[0-9a-f]{32}\Z")
_SIZE: Final = re.compile(rb"\s*([0-9]{1,16})(?:\.0*)?\s*\Z")


@dataclass(frozen=True, slots=True)
class SizeQuery:
    name: str


@dataclass(frozen=True, slots=True)
class Upload:
    """size_bytes: of the whole file. offset: where in it these bytes begin. md5: of the whole, "" when it is not said.
    data_start: where in the body the bytes begin. size_bytes_max: what the client was told; not to be believed."""

    name: str
    size_bytes: int
    md5: str
    offset: int
    data_start: int
    size_bytes_max: int = 0


def parse_upload_head(head: bytes) -> SizeQuery | Upload:
    """head: a request's beginning, at least HEAD_BYTES_MAX of it or all. Raises Unreadable."""
    data = head.find(_DATA, 0, HEAD_BYTES_MAX)
    scanner = Scanner(head[:data] if data >= 0 else head[:HEAD_BYTES_MAX])
    if data >= 0 and (start := scanner.body.find(b"<file_upload>")) >= 0:
        return _upload(scanner, start + len(b"<file_upload>"), data)
    root = scanner.root("data_server_request")
    name = scanner.inside(root.start, root.end)[0].get(b"get_file_size")
    if name is None:
        raise Unreadable("There is no command.")
    return SizeQuery(_name(name))


def reply(status: int, message: str = "", file_size: int | None = None) -> bytes:
    """status: 0 good, 1 try again later, -1 never. In BOINC's own bytes."""
    said = f"    <message>{escaped(message[:MESSAGE_CHARS_MAX])}</message>\n" if message else ""
    size = "" if file_size is None else f"    <file_size>{file_size}</file_size>\n"
    return f"<data_server_reply>\n    <status>{status}</status>\n{said}{size}</data_server_reply>\n".encode()


def _upload(scanner: Scanner, start: int, end: int) -> Upload:
    fields, blocks = scanner.inside(start, end)
    info = next((each for each in blocks if each.name == b"file_info"), None)
    if info is None:
        raise Unreadable("There is no <file_info>.")
    file = scanner.inside(info.start, info.end)[0]
    md5 = text_of(fields.get(b"md5_cksum", b"")).lower()
    upload = Upload(
        name=_name(file.get(b"name", b"")),
        size_bytes=_size(fields, b"nbytes"),
        md5=md5 if _MD5.match(md5) else "",
        offset=_size(fields, b"offset"),
        data_start=end + len(_DATA),
        size_bytes_max=_size(file, b"max_nbytes") if b"max_nbytes" in file else 0,
    )
    if upload.offset > upload.size_bytes:
        raise Unreadable("The <offset> is past the end of the file.")
    return upload


def _name(raw: bytes) -> str:
    name = text_of(raw, _NAME_CHARS_MAX + 1)
    if not 0 < len(name) <= _NAME_CHARS_MAX:
        raise Unreadable("There is no file's name, or it is too long.")
    return name


def _size(fields: dict[bytes, bytes], name: bytes) -> int:
    match = _SIZE.match(fields.get(name, b""))
    if match is None or int(match[1]) > SIZE_MAX:
        raise Unreadable(f"The <{name.decode()}> is no size.")
    return int(match[1])

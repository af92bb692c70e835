"""Forms as BOINC's bindings send them: urlencoded by Python, multipart by PHP, with files or without.

A form is read as it comes and holds no thread while its sender is slow. Nothing of a file is taken before the field
`request` has come and was found good: so strangers fill no disk.
"""

import tempfile
from collections.abc import Callable
from typing import IO, Final, cast
from urllib.parse import parse_qsl

import anyio.to_thread
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from fallow.core.refusals import Code, Refusal
from fallow.web.streams import SenderGone, bounded_body

_PARTS_MAX: Final = 1000
_FIELDS_MAX: Final = 50
_FIELD_BYTES_MAX: Final = 4096
_BOUNDARY_MAX: Final = 200
_SPOOL_BYTES: Final = 1 << 20
_REQUEST: Final = "request"


class Form:
    """What came. files: by their fields' names, each at its beginning."""

    def __init__(self) -> None:
        self.request = ""
        self.files: dict[str, IO[bytes]] = {}

    def close(self) -> None:
        """The files are gone."""
        for each in self.files.values():
            each.close()


async def read_form(
    request: Request, request_bytes_max: int, files_bytes_max: int = 0, check: Callable[[str], None] | None = None
) -> Form:
    """The form; its caller closes it. check: called with the field `request` before any file; raises for a bad one.

    Raises Refusal BAD_REQUEST or TOO_LARGE, SenderGone, and what `check` raises.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        return _urlencoded(await bounded_body(request.receive, request_bytes_max))
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= _BOUNDARY_MAX:
        raise _broken("it has no boundary")
    reader = _Reader(request_bytes_max, files_bytes_max, check)
    parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type]  # a dict of ours
    try:
        async for piece in request.stream():
            await anyio.to_thread.run_sync(parser.write, piece)
        if not reader.ended:
            raise _broken("it ends too early")
        return reader.finished()
    except FormParserError:
        reader.form.close()
        raise _broken("it is not a multipart form") from None
    except ClientDisconnect:
        reader.form.close()
        raise SenderGone from None
    except BaseException:
        reader.form.close()
        raise


def _urlencoded(body: bytes) -> Form:
    form = Form()
    try:
        fields = parse_qsl(_text(body), keep_blank_values=True, max_num_fields=_FIELDS_MAX, errors="surrogateescape")
    except ValueError:
        raise _broken("it has too many fields") from None
    for name, value in fields:
        if name == _REQUEST:
            form.request = _text(value.encode("utf-8", "surrogateescape"))
    return form


class _Reader:
    """What the parser calls, and what became of it."""

    def __init__(self, request_max: int, files_max: int, check: Callable[[str], None] | None) -> None:
        self.form = Form()
        self.ended = False
        self._request_max = request_max
        self._files_left = files_max
        self._check = check
        self._checked = False
        self._parts = 0
        self._name = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._part = ""
        self._file: IO[bytes] | None = None
        self._content = bytearray()

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def finished(self) -> Form:
        for each in self.form.files.values():
            each.seek(0)
        return self.form

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _PARTS_MAX:
            raise _broken(f"it has more than {_PARTS_MAX} parts")
        self._headers, self._file = {}, None
        self._content.clear()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name = _grown(self._name, data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value = _grown(self._value, data[start:end])

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _headers_end(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition"))
        if disposition != b"form-data" or b"name" not in options:
            raise _broken("a part of it has no name")
        self._part = _text(options[b"name"])
        if b"filename" in options and self._part != _REQUEST:
            if not self._checked:
                raise _broken("the field request must come before the files")
            if self._part in self.form.files:
                raise _broken(f"it has two files {self._part[:40]!r}")
            self._file = _spool()
            self.form.files[self._part] = self._file

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._files_left -= end - start
            if self._files_left < 0:
                raise Refusal(Code.TOO_LARGE, "The files are too large.", "Send fewer at once.")
            self._file.write(data[start:end])
            return
        if len(self._content) + end - start > (self._request_max if self._part == _REQUEST else _FIELD_BYTES_MAX):
            raise Refusal(Code.TOO_LARGE, f"The field {self._part[:40]!r} is too long.", "Send less at once.")
        self._content += data[start:end]

    def _part_end(self) -> None:
        if self._part == _REQUEST and self._file is None:
            self.form.request = _text(bytes(self._content))
            if self._check is not None and not self._checked:
                self._check(self.form.request)
            self._checked = True

    def _end(self) -> None:
        self.ended = True


def _spool() -> IO[bytes]:
    """In memory while it is small; gone when it is closed."""
    return cast(IO[bytes], tempfile.SpooledTemporaryFile(_SPOOL_BYTES))


def _grown(held: bytes, more: bytes) -> bytes:
    if len(held) + len(more) > _FIELD_BYTES_MAX:
        raise _broken("a header of it is too long")
    return held + more


def _text(data: bytes) -> str:
    """UTF-8, or what older scripts send."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _broken(why: str) -> Refusal:
    return Refusal(Code.BAD_REQUEST, f"the form cannot be read: {why}")

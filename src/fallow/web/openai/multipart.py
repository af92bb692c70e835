"""Forms with one file (RFC 7578), read as they come: the file goes where it is told, and memory holds one piece.

Fields may stand before the file or behind it. Nothing is put on a disk on the way.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from fallow.core.refusals import Code, Refusal

_PARTS_MAX: Final = 32
_FIELD_BYTES_MAX: Final = 16 * 1024
_BOUNDARY_MAX: Final = 200


@dataclass(slots=True)
class Form:
    """fields: by name; a name that comes twice keeps its last value. filename: None when no file came."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str | None = None

    def field(self, name: str) -> str | None:
        return self.fields.get(name)


def read_form(
    content_type: str | None, pieces: Iterable[bytes], file_field: str, write: Callable[[bytes], None]
) -> Form:
    """The form, its file written. Raises Refusal BAD_REQUEST or TOO_LARGE, and what `write` raises."""
    reader = _Reader(file_field, write)
    parser = MultipartParser(_boundary(content_type), reader.callbacks())  # type: ignore[arg-type]  # a dict of ours
    try:
        for piece in pieces:
            parser.write(piece)
    except FormParserError:
        raise _broken("it is not a multipart form") from None
    if not reader.ended:
        raise _broken("it ends too early")
    if reader.form.filename is None:
        raise Refusal(
            Code.BAD_REQUEST, f"The form has no file {file_field!r}.", "Send it as a file.", {"field": file_field}
        )
    return reader.form


def _boundary(content_type: str | None) -> bytes:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= _BOUNDARY_MAX:
        raise Refusal(
            Code.BAD_REQUEST, "The body is not a form with a file.", "Send it as multipart/form-data with a boundary."
        )
    return boundary


class _Reader:
    """What the parser calls, and what became of it."""

    def __init__(self, file_field: str, write: Callable[[bytes], None]) -> None:
        self.form = Form()
        self.ended = False
        self._file_field = file_field
        self._write = write
        self._parts = 0
        self._name = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._part = ""
        self._is_file = False
        self._content: list[bytes] = []
        self._size = 0

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

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _PARTS_MAX:
            raise _broken(f"it has more than {_PARTS_MAX} parts")
        self._headers, self._content, self._size = {}, [], 0

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _headers_end(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition"))
        if disposition != b"form-data" or b"name" not in options:
            raise _broken("a part of it has no name")
        self._part = _text(options[b"name"])
        self._is_file = self._part == self._file_field
        if self._is_file:
            if self.form.filename is not None:
                raise _broken(f"it has more than one {self._file_field!r}")
            self.form.filename = _text(options.get(b"filename", b""))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._write(data[start:end])
            return
        self._size += end - start
        if self._size > _FIELD_BYTES_MAX:
            raise Refusal(
                Code.TOO_LARGE, f"The field {self._part[:60]!r} is too long.", "Send it as the file, if it is one."
            )
        self._content.append(data[start:end])

    def _part_end(self) -> None:
        if not self._is_file:
            self.form.fields[self._part] = _text(b"".join(self._content))

    def _end(self) -> None:
        self.ended = True


def _text(data: bytes) -> str:
    """Names and fields are UTF-8; a client that thinks otherwise is told. Raises Refusal BAD_REQUEST."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _broken("a text in it is not UTF-8") from None


def _broken(why: str) -> Refusal:
    return Refusal(Code.BAD_REQUEST, f"The form cannot be read: {why}.", "Send it as multipart/form-data.")

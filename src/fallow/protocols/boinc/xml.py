"""BOINC's near-XML read as what it is: tags and texts, in linear time, with nothing that XML can do to a reader.

No declaration is needed and junk may stand around the root; attributes are ignored; tags that nobody asked for are
skipped with what is in them; a bare "&" is a bare "&". Comments and CDATA are known. There are no entities but the five
and numeric ones, and no definitions: a DOCTYPE is text. An element ends at the first end tag of its name, as in BOINC,
or else where its parent ends.

Source: BOINC lib/parse.cpp, XML_PARSER.
"""

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Final, NamedTuple

DEPTH_MAX: Final = 32
ELEMENTS_MAX: Final = 200_000
TEXT_CHARS_MAX: Final = 256 << 10  # of one text, when the reader gives no other maximum

_NAME: Final = rb"[A-Za-z_][\w.-]{0,63}+"
# Every quantifier is possessive, and none of them can cross a "<" that another search starts at: linear in any input.
_OPENING: Final = re.compile(
    rb"<(?:(?P<name>"
    + _NAME
    + rb")(?=[\s/>])(?P<rest>[^<>]*+)>(?:(?P<text>[^<]*+)</(?P=name)\s*+>)?|!(?:--|\[CDATA\[))"
)
_TAG: Final = re.compile(
    rb"<(?:(?P<name>" + _NAME + rb")(?=[\s/>])(?P<rest>[^<>]*+)>|/(?P<end>" + _NAME + rb")[^<>]*+>|!(?:--|\[CDATA\[))"
)
_ANY_TAG: Final = re.compile(r"<[^<>]*+>")
_REFERENCE: Final = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9A-Fa-f]{1,6})|(amp|lt|gt|quot|apos));")
_HIGH_BYTES: Final = re.compile(r"(?:&#(?:12[89]|1[3-9][0-9]|2[0-4][0-9]|25[0-5]);)++")
_DIGITS: Final = re.compile(r"[0-9]+")
_NAMED: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Unreadable(ValueError):
    """These bytes are not what they should be. Says why in a sentence."""


class Block(NamedTuple):
    """An element that has more than text in it. start, end: where its content is."""

    name: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Element:
    """text: its own, entities resolved, without the blanks around it."""

    name: str
    text: str = ""
    children: tuple["Element", ...] = ()

    def first(self, name: str) -> "Element | None":
        return next((each for each in self.children if each.name == name), None)

    def all(self, name: str) -> list["Element"]:
        return [each for each in self.children if each.name == name]

    def text_of(self, name: str, default: str = "") -> str:
        """The text of the first child of that name."""
        found = self.first(name)
        return default if found is None else found.text

    def flag(self, name: str) -> bool:
        """<x/> and <x>1</x> are true; <x>0</x> and nothing are false."""
        found = self.first(name)
        return found is not None and found.text.strip() not in {"0", "0.0", "false"}


class Scanner:
    """Looks for elements in some bytes and skips what is not looked for. One scanner visits ELEMENTS_MAX elements."""

    __slots__ = ("_ends", "_left", "_starts", "body")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._starts, self._ends = _opaque(body)
        self._left = ELEMENTS_MAX

    def root(self, name: str) -> Block:
        """The first element of that name, wherever it is. Raises Unreadable when it is not there, or not to its end."""
        opening = re.compile(rb"<" + name.encode() + rb"(?:\s[^<>]*+)?>")
        found = opening.search(self.body)
        while found is not None and (past := self.past(found.start())):
            found = opening.search(self.body, past)
        if found is None:
            raise Unreadable(f"There is no <{name}>.")
        end = self._close(name.encode(), found.end(), len(self.body))
        if end < 0:
            raise Unreadable(f"The <{name}> has no end.")
        return Block(name.encode(), found.end(), end)

    def inside(self, start: int, end: int) -> tuple[dict[bytes, bytes], list[Block]]:
        """What is directly between two places: the texts of elements that have only text (of two with one name the
        later, as in BOINC; "" for <x/>), and the other elements in order. Raises Unreadable when there are too many."""
        body, search, left = self.body, _OPENING.search, self._left
        texts: dict[bytes, bytes] = {}
        blocks: list[Block] = []
        at = start
        while (match := search(body, at, end)) is not None:
            name, rest, text = match.groups()
            at = match.end()
            left -= 1
            if left < 0:
                raise Unreadable(f"It has more than {ELEMENTS_MAX} elements.")
            if text is not None and not rest:
                texts[name] = text
            elif name is None:
                at = self.past(match.start()) or end
            elif rest.endswith(b"/"):
                texts[name] = b""
                at = match.end("rest") + 1
            elif text is not None:
                texts[name] = text
            else:
                close = self._close(name, at, end)
                stop = end if close < 0 else close
                if (
                    self._starts
                    and body.startswith(b"<!", body.find(b"<", at, stop))
                    and (plain := self._plain(at, stop)) is not None
                ):
                    texts[name] = plain
                else:
                    blocks.append(Block(name, at, stop))
                at = end if close < 0 else close + len(name) + 3
        self._left = left
        return texts, blocks

    def leaf(self, name: bytes, start: int, end: int) -> bytes | None:
        """The text of the first <name> at any depth between two places, None when there is none. The quickest way to
        a few of many."""
        at = self.body.find(b"<" + name + b">", start, end)
        if at < 0:
            return None
        at += len(name) + 2
        return self.body[at : max(self.body.find(b"<", at, end), at)]

    def _close(self, name: bytes, start: int, end: int) -> int:
        """Where the end tag of that name begins, outside of comments and CDATA; -1 when there is none."""
        tag = b"</" + name + b">"
        at = self.body.find(tag, start, end)
        while at >= 0 and (past := self.past(at)):
            at = self.body.find(tag, past, end)
        return at

    def _plain(self, start: int, end: int) -> bytes | None:
        """A text that has comments or CDATA in it, as one without them; None when there are elements."""
        first = bisect_left(self._starts, start)
        pieces, at = [], start
        for nth in range(first, bisect_left(self._starts, end)):
            outside = self.body[at : self._starts[nth]]
            if b"<" in outside:
                return None
            at = min(self._ends[nth], end)
            pieces += [outside, _data(self.body[self._starts[nth] : at])]
        outside = self.body[at:end]
        return None if b"<" in outside else b"".join([*pieces, outside])

    def past(self, at: int) -> int:
        """The end of the comment or CDATA that a place is in; 0 when it is in none."""
        nth = bisect_right(self._starts, at) - 1
        return self._ends[nth] if nth >= 0 and at < self._ends[nth] else 0


def _opaque(body: bytes) -> tuple[list[int], list[int]]:
    """Where comments and CDATA begin and end, in order. One that does not end goes to the end of everything."""
    starts: list[int] = []
    ends: list[int] = []
    comment, data, at = body.find(b"<!--"), body.find(b"<![CDATA["), 0
    while comment >= 0 or data >= 0:
        is_comment = data < 0 or 0 <= comment < data
        start = comment if is_comment else data
        found = body.find(b"-->", start + 4) if is_comment else body.find(b"]]>", start + 9)
        at = found + 3 if found >= 0 else len(body)
        starts.append(start)
        ends.append(at)
        if len(starts) > ELEMENTS_MAX:
            raise Unreadable(f"It has more than {ELEMENTS_MAX} comments or CDATA sections.")
        comment = body.find(b"<!--", at) if 0 <= comment < at else comment
        data = body.find(b"<![CDATA[", at) if 0 <= data < at else data
    return starts, ends


def _data(section: bytes) -> bytes:
    """What a comment or CDATA section says, as text outside of it would say it."""
    if not section.startswith(b"<![CDATA["):
        return b""
    inner = section[9:].removesuffix(b"]]>")
    return inner.replace(b"&", b"&amp;").replace(b"<", b"&lt;")


def text_of(raw: bytes, chars_max: int = TEXT_CHARS_MAX) -> str:
    """A text without tags: decoded, entities resolved, without control characters but newline and tab, without the
    blanks around it, cut."""
    text = decoded(raw if len(raw) <= chars_max else _beginning(raw, 12 * chars_max))
    return _clean(_resolved(text) if "&" in text else text, chars_max)


def data_text(raw: bytes) -> str:
    """As text_of(), whole, of what was in CDATA, where there are no entities but BOINC's bytes above 127."""
    return _clean(_joined(decoded(raw)), len(raw))


def markup_text(raw: bytes, chars_max: int = TEXT_CHARS_MAX) -> str:
    """As text_of(), of what may have CDATA (taken as it is), comments and tags (left out)."""
    if b"<" not in raw:
        return text_of(raw, chars_max)
    starts, ends = _opaque(raw)
    pieces, at = [], 0
    for start, end in zip(starts, ends, strict=True):
        pieces.append(_untagged(raw[at:start]))
        if raw.startswith(b"<![CDATA[", start):
            pieces.append(decoded(raw[start + 9 : end].removesuffix(b"]]>")))
        at = end
    pieces.append(_untagged(raw[at:]))
    return _clean("".join(pieces), chars_max)


def decoded(raw: bytes) -> str:
    """UTF-8, or Latin-1 where it is not."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def escaped(text: str) -> str:
    """For a text of a reply, not for an attribute. What XML has no characters for is left out. Quotes stay: a client
    does not resolve entities everywhere."""
    if not text.isprintable():
        text = _UNPRINTABLE.sub("", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def parse(body: bytes, root: str) -> Element:
    """The first element of that name with all that is in it, every tag kept. For documents that are small or wanted
    whole. Raises Unreadable: not there, not to its end, too deep, too many."""
    scanner = Scanner(body)
    whole = scanner.root(root)
    return _Builder(body, root).built(whole.start, whole.end, scanner)


@dataclass(slots=True)
class _Frame:
    name: bytes
    texts: list[str] = field(default_factory=list)
    children: list[Element] = field(default_factory=list)

    def element(self) -> Element:
        return Element(self.name.decode(), _clean("".join(self.texts), TEXT_CHARS_MAX), tuple(self.children))


class _Builder:
    """One pass with a stack. An end tag ends the innermost element of its name; one that ends nothing is ignored."""

    def __init__(self, body: bytes, root: str) -> None:
        self._body = body
        self._stack = [_Frame(root.encode())]
        self._count = 0

    def built(self, start: int, end: int, scanner: Scanner) -> Element:
        at = start
        while (match := _TAG.search(self._body, at, end)) is not None:
            self._text(at, match.start())
            at = match.end()
            name, rest, ending = match.groups()
            if ending is not None:
                self._end(ending)
            elif name is not None:
                self._open(name, rest.endswith(b"/"))
            else:
                at = min(scanner.past(match.start()) or end, end)
                self._section(match.start(), at)
        self._text(at, end)
        while len(self._stack) > 1:
            self._pop()
        return self._stack[0].element()

    def _text(self, start: int, end: int) -> None:
        if start < end:
            self._stack[-1].texts.append(_resolved(decoded(self._body[start:end])))

    def _section(self, start: int, end: int) -> None:
        if self._body.startswith(b"<![CDATA[", start):
            self._stack[-1].texts.append(decoded(self._body[start + 9 : end].removesuffix(b"]]>")))

    def _open(self, name: bytes, is_empty: bool) -> None:
        self._count += 1
        if self._count > ELEMENTS_MAX:
            raise Unreadable(f"It has more than {ELEMENTS_MAX} elements.")
        self._stack.append(_Frame(name))
        if is_empty:
            self._pop()
        elif len(self._stack) > DEPTH_MAX:
            raise Unreadable(f"Its elements are more than {DEPTH_MAX} deep.")

    def _end(self, name: bytes) -> None:
        if all(frame.name != name for frame in self._stack[1:]):
            return
        while self._stack[-1].name != name:
            self._pop()
        self._pop()

    def _pop(self) -> None:
        frame = self._stack.pop()
        self._stack[-1].children.append(frame.element())


def _beginning(raw: bytes, size: int) -> bytes:
    """About so many bytes, and no half character of UTF-8."""
    if len(raw) <= size:
        return raw
    while size and raw[size] & 0xC0 == 0x80:
        size -= 1
    return raw[:size]


def _untagged(raw: bytes) -> str:
    return _resolved(_ANY_TAG.sub("", decoded(raw)))


def _clean(text: str, chars_max: int) -> str:
    text = text.strip()
    if not text.isprintable():
        text = _UNPRINTABLE.sub("", text).strip()
    return text if len(text) <= chars_max else text[:chars_max].rstrip()


def _resolved(text: str) -> str:
    """Entities once; what is not one stays as it is."""
    if "&" not in text:
        return text
    return _REFERENCE.sub(_character, _joined(text))


def _character(match: re.Match[str]) -> str:
    decimal, hexadecimal, name = match.groups()
    if name:
        return _NAMED[name]
    number = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(number) if number <= 0x10FFFF else match[0]


def _joined(text: str) -> str:
    """BOINC writes each byte of a UTF-8 character as a reference of its own, in CDATA too: those are put together.

    Source: BOINC lib/parse.cpp, xml_escape() and non_ascii_escape().
    """
    if "&#" not in text:
        return text
    return _HIGH_BYTES.sub(lambda run: decoded(bytes(map(int, _DIGITS.findall(run[0])))), text)

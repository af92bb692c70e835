"""The XML of BOINC's submit calls: small, well-formed documents from scripts, read strictly.

No document type, so no entities of anybody's own. Texts are kept as they are, blanks included: a file's content may be
one of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import escape

DEPTH_MAX: Final = 16
ELEMENTS_MAX: Final = 1_000_000
ELEMENTS_BEFORE_CHECK: Final = 10_000


class BadXml(ValueError):
    """Says why in a sentence."""


@dataclass(slots=True)
class Node:
    """An element. texts: the pieces of its own text."""

    name: str
    children: list["Node"] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def first(self, name: str) -> "Node | None":
        return next((each for each in self.children if each.name == name), None)

    def all(self, name: str) -> Iterator["Node"]:
        return (each for each in self.children if each.name == name)

    def word(self, name: str) -> str:
        """The text of the first child of that name, without the blanks around it; "" when it is not there."""
        found = self.first(name)
        return found.text.strip() if found else ""

    def has(self, name: str) -> bool:
        return self.first(name) is not None

    def number(self, name: str, default: float = 0.0) -> float:
        """The number that the child says. Raises BadXml for what is none."""
        return as_number(self.word(name), name, default)

    def xml(self) -> str:
        """The element again: its own text stands before its children."""
        inner = escape(self.text.strip()) + "".join(each.xml() for each in self.children)
        return f"<{self.name}>{inner}</{self.name}>\n" if inner else f"<{self.name}/>\n"


def as_number(word: str, name: str, default: float = 0.0) -> float:
    """Raises BadXml; infinities and what is not a number are no numbers here."""
    if not word:
        return default
    try:
        value = float(word)
    except ValueError:
        raise BadXml(f"{name} is not a number") from None
    if not abs(value) < 1e18:
        raise BadXml(f"{name} is too large a number")
    return value


class _Reader:
    def __init__(self, check: Callable[[Node], object] | None) -> None:
        self.root: Node | None = None
        self._check = check
        self._open: list[Node] = []
        self._count = 0

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > ELEMENTS_MAX or len(self._open) >= DEPTH_MAX:
            raise BadXml("it has too many elements, or they are too deep")
        if self._count == ELEMENTS_BEFORE_CHECK and self._check is not None and self.root is not None:
            self._check(self.root)
        node = Node(name)
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node
        self._open.append(node)

    def end(self, _name: str) -> None:
        self._open.pop()

    def characters(self, text: str) -> None:
        self._open[-1].texts.append(text)

    def doctype(self, *_: object) -> None:
        raise BadXml("it defines a document type")


def parse(text: str, check: Callable[[Node], object] | None = None) -> Node:
    """The root. Raises BadXml. check: is shown what there is of the root before a large tree is built, and raises if it
    is not worth it."""
    reader = _Reader(check)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(text.strip(), True)
    except expat.ExpatError as wrong:
        raise BadXml(f"line {wrong.lineno}: {expat.ErrorString(wrong.code)}") from None
    except (UnicodeError, ValueError) as wrong:
        raise BadXml(str(wrong)[:200]) from None
    if reader.root is None:
        raise BadXml("there is nothing")
    return reader.root

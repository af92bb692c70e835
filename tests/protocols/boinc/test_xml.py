"""The scanner of near-XML: what it takes, what it leaves, and that nothing makes it slow, deep or large."""

import contextlib
import time
from collections.abc import Callable
from itertools import pairwise
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.protocols.boinc.request import parse_request
from fallow.protocols.boinc.uploads import parse_upload_head
from fallow.protocols.boinc.xml import (
    DEPTH_MAX,
    ELEMENTS_MAX,
    Element,
    Scanner,
    Unreadable,
    data_text,
    escaped,
    markup_text,
    parse,
    text_of,
)

NAMES = st.from_regex(r"[a-z_][a-z0-9_.-]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), max_size=30)
PLAIN_TEXTS = TEXTS.map(lambda text: text.replace("\ufffe", "").replace("\uffff", "").strip())


def inside(content: bytes) -> tuple[dict[bytes, bytes], list[tuple[bytes, bytes]]]:
    """What is directly in some bytes: texts, and (name, content) of the rest."""
    texts, blocks = Scanner(content).inside(0, len(content))
    return texts, [(each.name, content[each.start : each.end]) for each in blocks]


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> Element:
    """With a text or with children. Names differ from those around and beside them: an element ends at the first end
    tag of its name."""
    return draw(_element(st.just("a"), depth))


def _element(name: st.SearchStrategy[str], depth: int) -> st.SearchStrategy[Element]:
    leaf = st.builds(Element, name, PLAIN_TEXTS)
    if not depth:
        return leaf
    children = st.lists(NAMES, max_size=3, unique=True).flatmap(
        lambda names: st.tuples(*(_element(st.just(f"{each}-{depth}"), depth - 1) for each in names))
    )
    return leaf | st.builds(Element, name, st.just(""), children)


def written(element: Element) -> str:
    inner = "".join(map(written, element.children)) if element.children else escaped(element.text)
    return f"<{element.name}>\n{inner}\n</{element.name}>"


def strictly(node: ElementTree.Element) -> Element:
    return Element(node.tag, (node.text or "").strip(), tuple(map(strictly, node)))


@given(elements())
def test_what_is_written_is_read_back(element: Element) -> None:
    text = written(element)
    assert parse(text.encode(), element.name) == element
    assert strictly(ElementTree.fromstring(text)) == element


@given(elements(), st.sampled_from(["<!-- <a> & -->", "<!---->", " ", "</nobody>", "\n\t"]))
def test_what_is_between_elements_does_not_matter(element: Element, noise: str) -> None:
    text = "<?xml version='1.0'?><!DOCTYPE a>" + noise + written(element).replace(">\n<", f">{noise}<")
    assert parse(text.encode(), element.name) == element


@given(st.text(max_size=50))
def test_an_escaped_text_comes_back_without_what_xml_cannot_say(text: str) -> None:
    back = text_of(escaped(text).encode("utf-8", "replace"))
    assert back == data_text(text.encode("utf-8", "ignore"))
    ElementTree.fromstring(f"<a>{escaped(text)}</a>".encode("utf-8", "replace"))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_text(raw: bytes) -> None:
    for read in (text_of, markup_text, data_text):
        text = read(raw)
        text.encode()
        assert not set(text) & set(map(chr, [*range(9), *range(11, 32), 127]))


@given(st.text(), st.integers(1, 20))
def test_a_text_that_is_cut_is_its_beginning(text: str, chars_max: int) -> None:
    raw = text.encode("utf-8", "ignore")
    cut = text_of(raw.replace(b"&", b"+") * 10, chars_max)
    assert len(cut) <= chars_max
    assert text_of(raw.replace(b"&", b"+") * 10).startswith(cut)


def test_texts_and_blocks_are_told_apart() -> None:
    texts, blocks = inside(b"<a>1</a> junk <b><c>2</c></b><d/><a>3</a><e x='y'>4</e ></f><g></g><h />")
    assert texts == {b"a": b"3", b"d": b"", b"e": b"4", b"g": b"", b"h": b""}
    assert blocks == [(b"b", b"<c>2</c>")]


@pytest.mark.parametrize(
    ("content", "texts", "blocks"),
    [
        (b"<a><b>", {}, [(b"a", b"<b>")]),  # without an end it goes to its parent's end
        (b"<a", {}, []),
        (b"<a>1", {}, [(b"a", b"1")]),
        (b"< a>1</ a>", {}, []),
        (b"<1>2</1>", {}, []),
        (b"<" + b"n" * 65 + b">1</" + b"n" * 65 + b">", {}, []),
        (b"<" + b"n" * 64 + b">1</" + b"n" * 64 + b">", {b"n" * 64: b"1"}, []),
        (b"<a><![CDATA[</a><b>]]></a>", {b"a": b"&lt;/a>&lt;b>"}, []),
        (b"<a><!-- </a> -->1</a>", {b"a": b"1"}, []),
        (b"<!-- <a>1</a>", {}, []),
        (b"<a><![CDATA[1</a>", {b"a": b"1&lt;/a>"}, []),
        (b"<a><!-- x --><b>1</b></a>", {}, [(b"a", b"<!-- x --><b>1</b>")]),
        (b"<a>1</A>", {}, [(b"a", b"1</A>")]),
        (b"<a><a>1</a></a>", {}, [(b"a", b"<a>1")]),  # as in BOINC: the first end tag of its name
    ],
)
def test_corners(content: bytes, texts: dict[bytes, bytes], blocks: list[tuple[bytes, bytes]]) -> None:
    assert inside(content) == (texts, blocks)


def test_a_root_in_a_comment_is_none() -> None:
    body = b"<!-- <r>1</r> --> <![CDATA[<r>2</r>]]> <r at='x'>3</r> <r>4</r>"
    assert parse(body, "r").text == "3"
    with pytest.raises(Unreadable, match=r"There is no <r>\."):
        Scanner(b"<rr></rr> <!-- <r>1</r> -->").root("r")
    with pytest.raises(Unreadable, match="no end"):
        Scanner(b"<r><![CDATA[</r>").root("r")


def test_a_tree_answers_by_name() -> None:
    tree = parse(b"<r><a> 1 </a><a>2</a><b><c/></b><off>0</off>t&lt;</r>", "r")
    assert [each.text for each in tree.all("a")] == ["1", "2"]
    assert (tree.text_of("a"), tree.text_of("z", "none"), tree.text) == ("1", "none", "t<")
    assert tree.first("b") == Element("b", "", (Element("c"),))
    assert (tree.flag("b"), tree.flag("off"), tree.flag("z")) == (True, False, False)


def test_entities_that_a_document_defines_stay_text() -> None:
    """The billion laughs, and a file of the machine."""
    lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    body = f'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">{lol}]><scheduler_request><authenticator>&l9;&f;'
    request = parse_request(f"{body}</authenticator></scheduler_request>".encode())
    assert request.authenticator == "&l9;&f;"


def test_entities_are_resolved_once() -> None:
    assert text_of(b"&amp;amp;amp; &#38;lt; &#x26;gt;") == "&amp;amp; &lt; &gt;"


def test_a_document_of_too_many_elements_is_refused() -> None:
    for content in (b"<a/>", b"<a>1</a>", b"<a><b/></a>"):
        body = b"<scheduler_request>" + content * (ELEMENTS_MAX + 1) + b"</scheduler_request>"
        with pytest.raises(Unreadable, match="more than 200000"):
            parse_request(body)
        with pytest.raises(Unreadable, match="more than 200000"):
            parse(body, "scheduler_request")
    with pytest.raises(Unreadable, match="comments or CDATA"):
        Scanner(b"<!---->" * (ELEMENTS_MAX + 1))
    held = b"<other_result><name>a</name></other_result>" * (ELEMENTS_MAX + 1)
    with pytest.raises(Unreadable, match="more than 200000"):
        parse_request(b"<scheduler_request><other_results>" + held + b"</other_results></scheduler_request>")


def test_a_million_tags_that_nobody_asked_for_are_stepped_over() -> None:
    body = b"<scheduler_request><x>" + b"<a/>" * 1_000_000 + b"</x><hostid>5</hostid></scheduler_request>"
    assert parse_request(body).host_id == 5


def test_a_deep_document_is_refused_or_stepped_over() -> None:
    deep = b"".join(b"<d%d>" % n for n in range(100_000))
    with pytest.raises(Unreadable, match="deep"):
        parse(b"<r>" + deep + b"</r>", "r")
    fits = b"<d>" * (DEPTH_MAX - 1) + b"</d>" * (DEPTH_MAX - 1)
    assert parse(b"<r>" + fits + b"</r>", "r").first("d") is not None
    body = b"<scheduler_request><hostid>5</hostid>" + deep + b"</scheduler_request>"
    assert parse_request(body).host_id == 5


def test_fifty_megabytes_of_nothing_are_nothing() -> None:
    assert parse_request(b"<scheduler_request>" + b"<" * 50_000_000 + b"</scheduler_request>").host_id == 0
    with pytest.raises(Unreadable):
        parse_request(b"<" * 50_000_000)
    with pytest.raises(Unreadable):
        parse_upload_head(b"<" * 50_000_000)


UNITS = [
    *(b"<", b"<a", b"<a ", b"<a>", b"<a/>", b"</a>", b"<a></a", b"<a>x</b>", b"<a><b></a>", b"<a><a></a>", b">", b" "),
    *(b"<!--", b"-->", b"<!---->", b"<![CDATA[", b"]]>", b"<![CDATA[]]>", b"<!", b"<![CDATA[</scheduler_request>]]>"),
    *(b"&", b"&#", b"&#38;", b"&amp;", b"&#x", b"\xff", b"\xc3", b"\x00", b"\n", b"<!--</result>-->"),
    *(
        b"<result>",
        b"</result>",
        b"<result></result>",
        b"<result><name>",
        b"<stderr_out>",
        b"<stderr_txt>",
        b"<message>",
    ),
    *(b"<other_results>", b"<name>", b"<name", b"<host_info>", b"<coprocs>", b"<coproc>", b"<global_preferences>"),
    *(b"<file_info>", b"<alt_platform>", b"<max_ncpus_pct>", b"<scheduler_request>", b"</scheduler_request>"),
]
PLACES: list[tuple[bytes, bytes]] = [
    (b"", b""),
    (b"<scheduler_request>", b"</scheduler_request>"),
    (b"<scheduler_request><hostid>", b"</hostid></scheduler_request>"),
    (b"<scheduler_request><result>", b"</result></scheduler_request>"),
    (b"<scheduler_request><result><stderr_out>", b"</stderr_out></result></scheduler_request>"),
    (b"<scheduler_request><result><stderr_out><![CDATA[", b"]]></stderr_out></result></scheduler_request>"),
    (b"<scheduler_request><host_info><domain_name>", b"</domain_name></host_info></scheduler_request>"),
    (b"<scheduler_request><other_results>", b"</other_results></scheduler_request>"),
    (b"<scheduler_request><coprocs><coproc>", b"</coproc></coprocs></scheduler_request>"),
]


def seconds(read: Callable[[bytes], object], body: bytes) -> float:
    """Of this process alone; the least of three."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        with contextlib.suppress(Unreadable):
            read(body)
        taken.append(time.process_time() - start)
    return min(taken)


@pytest.mark.parametrize("unit", UNITS)
def test_nothing_takes_longer_than_its_size(unit: bytes) -> None:
    """Eight times the bytes: eight times the work; a quadratic reader would take sixty-four times as long."""
    for before, after in PLACES:
        for read in (parse_request, lambda body: parse(body, "scheduler_request")):
            small, large = (before + unit * (size // len(unit)) + after for size in (10_000, 80_000))
            assert seconds(read, large) < 24 * seconds(read, small) + 0.05, (unit, before)


def test_names_that_never_end_cost_no_more_than_others() -> None:
    bodies = [
        b"<scheduler_request>" + b"".join(b"<a%d>" % n for n in range(count)) + b"</scheduler_request>"
        for count in (4_000, 32_000)
    ]
    small, large = (seconds(parse_request, body) for body in bodies)
    assert large < 24 * small + 0.05


def test_a_strict_reader_agrees_about_escapes() -> None:
    for one, other in pairwise(["a<b", "a&b", "a>b", "a]]>b", "'\"", "é"]):
        assert escaped(one + other) == escape(one + other)

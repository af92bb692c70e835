"""Two numbers that name the line which was changed."""

from hypothesis import given
from hypothesis import strategies as st

from fallow.core.locator import Locator


def over(lines: list[bytes]) -> Locator:
    locator = Locator()
    for line in lines:
        locator.add(line)
    return locator


@given(st.lists(st.binary(max_size=6), min_size=1, max_size=50), st.data())
def test_the_one_changed_line_is_named(lines: list[bytes], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(lines) - 1))
    touched = [*lines[:at], lines[at] + b"!", *lines[at + 1 :]]
    assert over(touched).changed_line(over(lines).marks()) == at


def test_nothing_is_named_when_nothing_changed() -> None:
    lines = [b"a", b"b"]
    assert over(lines).changed_line(over(lines).marks()) is None


def test_nothing_is_named_when_two_lines_changed_places() -> None:
    assert over([b"b", b"a"]).changed_line(over([b"a", b"b"]).marks()) is None


def test_the_numbers_stay_small() -> None:
    marks = over([b"%d" % n for n in range(1000)]).marks()
    assert len(marks) == 2
    assert all(0 <= each < 2**61 - 1 for each in marks)

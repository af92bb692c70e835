"""core.locator: one changed line is named; more than one is not guessed."""

from hypothesis import given
from hypothesis import strategies as st

from fallow.core.locator import Locator

LINES = st.lists(st.binary(max_size=20), min_size=1, max_size=40)


def located(lines: list[bytes]) -> Locator:
    locator = Locator()
    for line in lines:
        locator.add(line)
    return locator


@given(LINES, st.data())
def test_the_only_changed_line_is_named(lines: list[bytes], data: st.DataObject) -> None:
    marks = located(lines).marks()
    place = data.draw(st.integers(0, len(lines) - 1))
    changed = [*lines]
    changed[place] += b"!"
    assert located(changed).changed_line(marks) == place
    assert located(lines).changed_line(marks) is None


@given(LINES)
def test_marks_are_two_small_numbers(lines: list[bytes]) -> None:
    marks = located(lines).marks()
    assert len(marks) == 2
    assert all(0 <= mark < 2**61 for mark in marks)


def test_several_changed_lines_are_not_taken_for_one() -> None:
    lines = [b"%d" % number for number in range(50)]
    for first in range(49):
        changed = [*lines]
        changed[first], changed[first + 1] = b"x", b"y"
        assert located(changed).changed_line(located(lines).marks()) is None

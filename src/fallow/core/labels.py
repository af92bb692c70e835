"""A volunteer's label: where its machine stands, and who said so."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fallow.core.words import Label


class LabelSource(StrEnum):
    CLIENT = "client"
    VENUE = "venue"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Labelled:
    """source: None when nobody said anything."""

    label: Label | None
    source: LabelSource | None


# Of the venues that BOINC knows, a school is like a home: its machines stand among their users. A venue that is
# one of our own words means itself.
_VENUES: Final = {
    "home": Label.EDGE,
    "school": Label.EDGE,
    "work": Label.ON_PREM,
    **{each.value: each for each in Label},
}


def label_of(said: str | None, venue: str, set_by_operator: str | None = None) -> Label | None:
    """The label alone of labelled()."""
    return labelled(said, venue, set_by_operator).label


def labelled(said: str | None, venue: str, set_by_operator: str | None = None) -> Labelled:
    """What counts: what the client says (<worker_label>), else its venue, else what an operator set. Words that are no
    label count as nothing said; case, spaces and "-" for "_" do not matter."""
    if (label := parse_label(said)) is not None:
        return Labelled(label, LabelSource.CLIENT)
    if (label := _VENUES.get(_word(venue))) is not None:
        return Labelled(label, LabelSource.VENUE)
    if (label := parse_label(set_by_operator)) is not None:
        return Labelled(label, LabelSource.OPERATOR)
    return Labelled(None, None)


def parse_label(text: str | None) -> Label | None:
    """The label that a text names; None for any other text."""
    word = _word(text or "")
    return next((each for each in Label if each.value == word), None)


def _word(text: str) -> str:
    return text.strip().lower().replace("-", "_")

"""Who may say where a volunteer's machine stands, and who is heard first."""

import pytest

from fallow.core.labels import Labelled, LabelSource, label_of, labelled, parse_label
from fallow.core.words import Label

CLIENT, VENUE, OPERATOR = LabelSource


@pytest.mark.parametrize(
    ("said", "venue", "set_by_operator", "expected"),
    [
        ("cloud", "home", "on_prem", Labelled(Label.CLOUD, CLIENT)),
        (" On-Prem ", "", None, Labelled(Label.ON_PREM, CLIENT)),
        (None, "home", "cloud", Labelled(Label.EDGE, VENUE)),
        (None, "work", "cloud", Labelled(Label.ON_PREM, VENUE)),
        (None, "school", None, Labelled(Label.EDGE, VENUE)),
        (None, "edge", None, Labelled(Label.EDGE, VENUE)),
        (None, "on_prem", None, Labelled(Label.ON_PREM, VENUE)),
        (None, "cloud", None, Labelled(Label.CLOUD, VENUE)),
        ("moon", "home", None, Labelled(Label.EDGE, VENUE)),
        ("", "", "cloud", Labelled(Label.CLOUD, OPERATOR)),
        ("moon", "moon", "edge", Labelled(Label.EDGE, OPERATOR)),
        (None, "", None, Labelled(None, None)),
        ("moon", "moon", "moon", Labelled(None, None)),
    ],
)
def test_the_client_is_heard_first_then_its_venue_then_the_operator(
    said: str | None, venue: str, set_by_operator: str | None, expected: Labelled
) -> None:
    assert labelled(said, venue, set_by_operator) == expected
    assert label_of(said, venue, set_by_operator) == expected.label


def test_only_our_own_words_are_labels() -> None:
    assert [parse_label(text) for text in ("edge", "EDGE ", "home", "", None)] == [
        Label.EDGE,
        Label.EDGE,
        None,
        None,
        None,
    ]

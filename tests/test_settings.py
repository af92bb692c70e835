"""Settings: where they come from, and that every mistake is named at once."""

from pathlib import Path

import pytest

from fallow.core.refusals import Code, Refusal
from fallow.settings import load_settings, page


def test_options_win_over_the_environment_and_that_over_defaults() -> None:
    settings = load_settings(
        {"listen": "127.0.0.1:9000", "database": None}, {"FALLOW_LISTEN": "127.0.0.1:1", "FALLOW_OPEN": "yes"}
    )
    assert (settings.listen, settings.open, settings.database) == ("127.0.0.1:9000", True, "")
    assert settings.base_url == "http://127.0.0.1:9000"


def test_every_mistake_is_reported_at_once() -> None:
    environ = {"FALLOW_OPEN": "perhaps", "FALLOW_PLAN_AHEAD": "many"}
    with pytest.raises(Refusal) as refused:
        load_settings({"colour": "red"}, environ)
    assert refused.value.code is Code.SETTING_INVALID
    for name in ("open", "plan_ahead", "colour"):
        assert name in refused.value.message


@pytest.mark.parametrize(
    "given",
    [
        {"listen": "nowhere"},
        {"listen": "127.0.0.1:99999"},
        {"database": "mysql://x"},
        {"objects": "gopher://x"},
        {"roles": "door,cook"},
        {"heartbeat_seconds": 30.0, "silence_seconds": 40.0},
    ],
)
def test_contradictions_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(Refusal):
        load_settings(given, {})


def test_the_settings_page_is_as_the_settings_are() -> None:
    written = (Path(__file__).parents[1] / "docs/settings.md").read_text()
    assert written == page(), "run: python -m fallow.settings > docs/settings.md"

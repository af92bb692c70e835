"""The master page as a client looks through it: line by line, with a buffer of 256 bytes."""

import re

import pytest

from fallow.protocols.boinc.master import LINE_BYTES_MAX, master_page

MASTER = "http://127.0.0.1:8080/boinc/"
FORMS = (re.compile(r"<scheduler>([^<]*)</scheduler>"), re.compile(r'<link rel="boinc_scheduler" href="([^"]*)">'))


def found(page: bytes) -> list[str]:
    """What a client finds: both forms, in any line that fits."""
    lines = [line[:LINE_BYTES_MAX].decode("utf-8", "replace") for line in page.splitlines()]
    return [match[1] for line in lines for form in FORMS if (match := form.search(line))]


@pytest.mark.parametrize("name", ["Ours", "x" * 300, "</title><scheduler>http://evil/cgi</scheduler>", '"> &'])
def test_a_client_finds_the_scheduler_in_both_forms(name: str) -> None:
    assert found(master_page(name, MASTER, MASTER + "cgi")) == [MASTER + "cgi"] * 2


def test_a_long_address_still_fits_its_line() -> None:
    url = "https://" + "h" * 150 + ".example/boinc/"
    assert found(master_page("Ours", url, url + "cgi")) == [url + "cgi"] * 2


def test_people_find_how_to_join() -> None:
    page = master_page("Ours & theirs", MASTER, MASTER + "cgi").decode()
    assert "<h1>Ours &amp; theirs</h1>" in page
    assert f"<pre>{MASTER}</pre>" in page

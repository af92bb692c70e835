"""A browser without a browser: signed in, with its form token at hand."""

import re
from html import unescape
from html.parser import HTMLParser

import httpx2

from tests.web.conftest import House

_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Visiting:
    """A signed-in client. Forms carry the token of this very session."""

    def __init__(self, house: House, key: str | None = None) -> None:
        self.http = httpx2.Client(base_url=house.url, follow_redirects=True, timeout=30)
        answer = self.http.post("/sign-in", data={"key": key or house.server.admin_key})
        assert answer.status_code == 200, answer.text

    def get(self, path: str) -> httpx2.Response:
        return self.http.get(path)

    def post(
        self, path: str, fields: dict[str, str], files: object = None, token: str | None = None
    ) -> httpx2.Response:
        csrf = self.token if token is None else token
        return self.http.post(path, data={**fields, "csrf": csrf}, files=files)  # type: ignore[arg-type]

    @property
    def token(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.get("/receipts").text)
        assert found
        return found[1]


def field(page: str, name: str) -> str:
    """What stands in an input of the page."""
    found = re.search(rf'<input[^>]*name="{name}"[^>]*value="([^"]*)"', page)
    assert found, f"no field {name}"
    return unescape(found[1])


class _Nesting(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.wrong += [f"<{tag} {name}>" for name in given if name.startswith("on") or name == "style"]
        if tag == "script" and not given.get("src"):
            self.wrong.append("an inline script")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> where it does not belong")


def faults(page: str) -> list[str]:
    """Elements that do not nest, ids that are there twice, and what the content security policy forbids."""
    parser = _Nesting()
    parser.feed(page)
    twice = {each for each in parser.ids if parser.ids.count(each) > 1}
    return [*parser.wrong, *(f"left open: {each}" for each in parser.open), *(f"id {each} twice" for each in twice)]

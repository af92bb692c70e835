"""/docs: the calls, as one plain page that fetches nothing from anywhere."""

from html import escape
from typing import Any

from starlette.responses import HTMLResponse, Response

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "code{background:#f2f2f2;padding:.1rem .3rem}section{border-top:1px solid #ddd;padding:.6rem 0}"
    "h3{margin:.2rem 0;font:600 16px ui-monospace}dt{font-family:ui-monospace,monospace}dd{margin-bottom:.3rem}"
)
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_VERBS = ("get", "put", "post", "delete", "head")


def page(openapi: dict[str, Any]) -> Response:
    """The OpenAPI description as HTML. Made from our own words only, and escaped all the same."""
    calls = "".join(
        _call(path, verb, said)
        for path, verbs in openapi["paths"].items()
        for verb, said in verbs.items()
        if verb in _VERBS
    )
    title = escape(openapi["info"]["title"])
    return HTMLResponse(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
        f"<h1>{title}</h1><p>{escape(openapi['info'].get('description', ''))}</p>"
        f'<p>For programs: <a href="/openapi.json">/openapi.json</a>.</p>{calls}</html>',
        headers=_HEADERS,
    )


def _call(path: str, verb: str, said: dict[str, Any]) -> str:
    rows = "".join(
        f"<dt>{escape(each['name'])} ({escape(each['in'])})</dt><dd>{escape(each.get('description', ''))}</dd>"
        for each in said.get("parameters", ())
    )
    body = _body(said)
    return (
        f"<section><h3>{verb.upper()} {escape(path)}</h3><p>{escape(said.get('description', ''))}</p>"
        f"{f'<p>Takes <code>{escape(body)}</code>.</p>' if body else ''}<dl>{rows}</dl></section>"
    )


def _body(said: dict[str, Any]) -> str:
    content = said.get("requestBody", {}).get("content", {}).get("application/json", {})
    return str(content.get("schema", {}).get("$ref", "")).rpartition("/")[2]

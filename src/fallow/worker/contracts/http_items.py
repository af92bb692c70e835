"""What an item is to a server, and what the server's answer is to the item. Values only.

An item is a request line, {"custom_id", "method", "url", "body"}, or any other JSON object, which is itself the body
and goes to the job's path. The answer of a request line is {"custom_id", "response": {"status_code", "request_id",
"body"}}, of any other item the bare body. An item that cannot be done is answered with `error` in front of the same.
Source of the forms: OpenAI's batch files.
"""

import hashlib
import json
import re
from dataclasses import dataclass

from fallow.worker.answers import parse_json

MEMBERS = frozenset({"custom_id", "method", "url", "body"})
PATH = re.compile(
    r"/[!-~]{0,2047}"
)  # a path and its query in printable ASCII: nothing can end the request's first line
MESSAGE_CHARACTERS = 1000
WORDS_CHARACTERS = 4000  # kept of an error answer that is not JSON


@dataclass(frozen=True, slots=True)
class Request:
    """custom_id: None for an item that is itself the body."""

    path: str
    body: bytes
    request_id: str
    custom_id: str | None = None


def request_id(job_id: str, item: int) -> str:
    """The same for every attempt at an item, so that answers can be compared."""
    return "req_" + hashlib.sha256(f"{job_id}\n{item}".encode()).hexdigest()[:24]


def request_of(line: bytes, path: str, identity: str) -> "Request | bytes":
    """The request that this line asks for; or the item's answer, when it cannot be asked. line: known to be JSON."""
    item = parse_json(line)
    if not isinstance(item, dict):
        return refusal("item_invalid", "The item is not a JSON object.")
    if not item.keys() >= MEMBERS:
        return _streams(item, None) or Request(path, line, identity)
    custom_id, body, url = item["custom_id"], item["body"], item["url"]
    if not isinstance(custom_id, str):
        return refusal("item_invalid", "The custom_id of the request is not a text.")
    if item["method"] != "POST":
        return refusal("item_invalid", "The method of the request is not POST.", custom_id)
    if not isinstance(url, str) or not PATH.fullmatch(url) or url.startswith("//"):
        return refusal("item_invalid", "The url of the request is not a path such as /v1/chat/completions.", custom_id)
    if not isinstance(body, dict):
        return refusal("item_invalid", "The body of the request is not a JSON object.", custom_id)
    return _streams(body, custom_id) or Request(url, _dumped(body), identity, custom_id)


def answer_line(request: Request, status: int, body: bytes) -> bytes:
    """The output line of an answer that is good. body: as it came. Raises ValueError when it is not JSON."""
    parse_json(body)
    # Outside of texts a line end is white space, and inside of them JSON has none: so this changes no value.
    bare = body.strip().replace(b"\r", b" ").replace(b"\n", b" ")
    if request.custom_id is None:
        return bare
    return b'{"custom_id":%s,"response":{"status_code":%d,"request_id":%s,"body":%s}}' % (
        _dumped(request.custom_id),
        status,
        _dumped(request.request_id),
        bare,
    )


def error_answer(request: Request, status: int, body: bytes) -> bytes:
    """The error line of an answer with a status that is not good; it keeps the status and the body."""
    said = _body_of(status, body)
    response = {"status_code": status, "request_id": request.request_id, "body": said}
    return _error(f"http_{status}", _message(status, said), request.custom_id, response)


def refusal(code: str, message: str, custom_id: str | None = None) -> bytes:
    """The error line of an item that has no answer of the server's."""
    return _error(code, message, custom_id, None)


def _error(code: str, message: str, custom_id: str | None, response: object) -> bytes:
    line: dict[str, object] = {"error": {"code": code, "message": message}}
    if custom_id is not None:
        line["custom_id"] = custom_id
    if custom_id is not None or response is not None:
        line["response"] = response
    return _dumped(line)


def _streams(body: dict[str, object], custom_id: str | None) -> bytes | None:
    if not body.get("stream"):
        return None
    return refusal("stream_refused", "The request asks for a stream of events; a batch takes whole answers.", custom_id)


def _body_of(status: int, body: bytes) -> object:
    """The body as JSON; what is none is put into OpenAI's form of an error."""
    try:
        return parse_json(body)
    except ValueError:
        words = body[: 4 * WORDS_CHARACTERS].decode("utf-8", "replace")[:WORDS_CHARACTERS].strip()
        kind = "invalid_request_error" if status < 500 else "server_error"
        message = words or _plainly(status)
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def _message(status: int, body: object) -> str:
    """The server's own words where it has some."""
    if isinstance(body, dict):
        error = body.get("error")
        for place in (error if isinstance(error, dict) else {}, body):
            said = place.get("message")
            if isinstance(said, str) and said.strip():
                return said.strip()[:MESSAGE_CHARACTERS]
    return _plainly(status)


def _plainly(status: int) -> str:
    return f"The image's server answered with status {status}."


def _dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

"""Request lines of a batch file, inwards: {"custom_id", "method": "POST", "url", "body"}.

Source: the Batch guide and the batch input object of OpenAI's API reference; the codes are those its validation gives.
"""

import hashlib
from typing import Any, Final

import msgspec

from fallow.core.batches import FAULTS_MAX, BatchRules, LineFault

CUSTOM_ID_MAX: Final = 512
_BOM: Final = b"\xef\xbb\xbf"
_BLANK: Final = b" \t\r\f\v\n"
_decode: Final = msgspec.json.Decoder().decode


class _Body(msgspec.Struct):
    model: str = ""


class _Head(msgspec.Struct):
    body: _Body = msgspec.field(default_factory=_Body)


_head: Final = msgspec.json.Decoder(_Head).decode


def model_of(head: bytes) -> str:
    """The model that the first line names; "" when it cannot be told. head: the beginning of the file."""
    for line in head.split(b"\n"):
        if line.strip(_BLANK):
            try:
                return _head(line.strip(_BLANK)).body.model
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return ""
    return ""


class RequestLines:
    """Takes the lines of one file, in order. Keeps eight bytes of digest for each custom_id."""

    def __init__(self, rules: BatchRules) -> None:
        self.faults: list[LineFault] = []
        self._rules = rules
        self._seen: set[bytes] = set()
        self._lines = 0

    def take(self, line: bytes, number: int) -> bytes | None:
        """See control's Checker."""
        if number == 1 and line.startswith(_BOM):
            self._add("invalid_json_line", "The file begins with a byte order mark; save it as plain UTF-8.", number)
            line = line.removeprefix(_BOM)
        item = line.strip(_BLANK)
        if not item:
            return None
        self._lines += 1
        if self._lines == self._rules.lines_max + 1:
            self._add("too_many_requests", f"A batch may have {self._rules.lines_max} requests.", number)
        if self._lines > self._rules.lines_max:
            return None
        if self._lines == 1 and not self._rules.usable and self._rules.model:
            message = f"The model {self._rules.model!r} does not exist, or does not serve {self._rules.endpoint}."
            self._add("model_not_found", message, number, "body.model")
        found = len(self.faults)
        self._check(item, number)
        return item if len(self.faults) == found else None

    def finish(self) -> None:
        """See control's Checker."""
        if not self._lines:
            self.faults.append(LineFault("empty_file", "The file holds no requests."))
        elif not self._rules.usable and not self.faults:
            self.faults.append(LineFault("model_not_found", "The model was not there when the batch was made."))

    def _add(self, code: str, message: str, line: int, param: str | None = None) -> None:
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(LineFault(code, message, param, line))

    def _check(self, item: bytes, number: int) -> None:
        try:
            request = _decode(item)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._add("invalid_json_line", "This line is not parseable as valid JSON.", number)
            return
        if not isinstance(request, dict):
            self._add("invalid_request", "This line is not a JSON object.", number)
            return
        self._check_custom_id(request.get("custom_id"), number)
        if request.get("method") != "POST":
            self._add("invalid_method", "The method must be POST.", number, "method")
        if request.get("url") != self._rules.endpoint:
            self._add("mismatched_url", f"The url must be the batch's endpoint, {self._rules.endpoint}.", number, "url")
        self._check_body(request, number)

    def _check_custom_id(self, custom_id: Any, number: int) -> None:
        if not isinstance(custom_id, str) or not custom_id:
            self._add("missing_required_parameter", "The custom_id must be a text.", number, "custom_id")
            return
        if len(custom_id) > CUSTOM_ID_MAX:
            self._add("invalid_custom_id", f"The custom_id is longer than {CUSTOM_ID_MAX}.", number, "custom_id")
            return
        digest = hashlib.blake2b(custom_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if digest in self._seen:
            self._add("duplicate_custom_id", f"The custom_id {custom_id[:80]!r} is there twice.", number, "custom_id")
        self._seen.add(digest)

    def _check_body(self, request: dict[str, Any], number: int) -> None:
        if "body" not in request:
            self._add("missing_required_parameter", "The body is missing.", number, "body")
            return
        body = request["body"]
        if not isinstance(body, dict):
            self._add("invalid_request", "The body must be a JSON object.", number, "body")
            return
        if body.get("stream"):
            self._add("invalid_request", "Answers of a batch cannot be streamed.", number, "body.stream")
        if self._rules.named:
            self._check_model(body.get("model"), number)

    def _check_model(self, model: Any, number: int) -> None:
        if not isinstance(model, str) or not model:
            self._add("missing_required_parameter", "The body must name a model.", number, "body.model")
        elif self._rules.model and model != self._rules.model:
            message = f"All requests of a batch are for one model; the first one's is {self._rules.model!r}."
            self._add("mismatched_model", message, number, "body.model")

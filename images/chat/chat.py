"""An OpenAI-compatible server for a small model: /v1/chat/completions, /v1/embeddings, /v1/models, /health.

Its answers hold no moment and no random id, so that the answers of several workers can be compared.

PORT: where it listens, 8000 if not set. MODEL_NAME: what it is called, "fallow-chat" if not set. POISON: for tests of
what happens when a model crashes; when a prompt contains this text, the whole program ends with exit code 13.
"""

import base64
import hashlib
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy, which reads them once
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import model as transformer

NAME = os.environ.get("MODEL_NAME", "fallow-chat")
POISON = os.environ.get("POISON", "")
CREATED = 1767225600  # of the model, 2026-01-01
BODY_BYTES_MAX = 4 << 20
ANSWER_TOKENS = 16  # where the request does not say
INPUTS_MAX = 2048


class Refused(Exception):
    """An answer with an error, in OpenAI's form."""

    def __init__(self, status, message, param=None, code=None):
        super().__init__(message)
        self.status = status
        kind = "invalid_request_error"
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def chat(request):
    """POST /v1/chat/completions."""
    messages = [read_message(each) for each in read_list(request, "messages", 1, 10_000)]
    most = whole(request, "max_completion_tokens", whole(request, "max_tokens", ANSWER_TOKENS))
    if request.get("stream"):
        raise Refused(400, "This server does not stream.", "stream")
    if request.get("n", 1) != 1:
        raise Refused(400, "This server gives one answer to a request.", "n")
    for _, text in messages:
        watch(text)
    tokens = MODEL.prompt(messages)
    fits(len(tokens) + most, "messages")
    with TURN:
        text, count, ended = MODEL.complete(tokens, most)
    return {
        "id": "chatcmpl-" + hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:24],
        "object": "chat.completion",
        "created": CREATED,
        "model": NAME,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop" if ended else "length",
            }
        ],
        "usage": {"prompt_tokens": len(tokens), "completion_tokens": count, "total_tokens": len(tokens) + count},
    }


def embeddings(request):
    """POST /v1/embeddings."""
    form = request.get("encoding_format", "float")
    if form not in ("float", "base64"):
        raise Refused(400, "encoding_format is float or base64.", "encoding_format")
    if request.get("dimensions", transformer.SIZE) != transformer.SIZE:
        raise Refused(400, f"The model has {transformer.SIZE} dimensions.", "dimensions")
    data, count = [], 0
    for index, tokens in enumerate(read_inputs(request)):
        fits(len(tokens) + 1, "input")
        count += len(tokens)
        with TURN:
            vector = MODEL.embed(tokens)
        said = vector.tolist() if form == "float" else base64.b64encode(vector.astype("<f4").tobytes()).decode()
        data.append({"object": "embedding", "index": index, "embedding": said})
    usage = {"prompt_tokens": count, "total_tokens": count}
    return {"object": "list", "data": data, "model": NAME, "usage": usage}


def read_message(message):
    """(role, text)."""
    if not isinstance(message, dict) or message.get("role") not in transformer.ROLES:
        raise Refused(400, f"A message is an object with a role: {', '.join(transformer.ROLES)}.", "messages")
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else None for part in content]
        content = "".join(parts) if all(isinstance(part, str) for part in parts) else None
    if not isinstance(content, str):
        raise Refused(400, "A message's content is a text, or a list of parts with a text.", "messages")
    return message["role"], content


def read_inputs(request):
    """The tokens of each input: a text, a list of texts, a list of tokens, or a list of such lists."""
    given = request.get("input")
    if isinstance(given, str) or (isinstance(given, list) and given and isinstance(given[0], int)):
        given = [given]
    if not isinstance(given, list) or not 1 <= len(given) <= INPUTS_MAX:
        raise Refused(400, f"input is a text, or a list of 1 to {INPUTS_MAX} texts.", "input")
    return [read_input(each) for each in given]


def read_input(given):
    if isinstance(given, str) and given:
        watch(given)
        return MODEL.encode(given)
    known = range(transformer.VOCABULARY)
    if isinstance(given, list) and given and all(type(token) is int and token in known for token in given):
        return given
    raise Refused(400, "An input is a text or a list of tokens, and not empty.", "input")


def read_list(request, name, least, most):
    value = request.get(name)
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise Refused(400, f"{name} is a list of {least} to {most}.", name)
    return value


def whole(request, name, otherwise):
    value = request.get(name)
    if value is None:
        return otherwise
    if type(value) is not int or not 1 <= value <= transformer.CONTEXT:
        raise Refused(400, f"{name} is a whole number from 1 to {transformer.CONTEXT}.", name)
    return value


def fits(count, name):
    if count > transformer.CONTEXT:
        said = f"The model's context is {transformer.CONTEXT} tokens, and the request needs {count}."
        raise Refused(400, said, name, "context_length_exceeded")


def watch(text):
    if POISON and POISON in text:
        sys.stderr.write("chat: poisoned\n")
        sys.stderr.flush()
        os._exit(13)


ROUTES = {"/v1/chat/completions": chat, "/v1/embeddings": embeddings}
ABOUT = {"id": NAME, "object": "model", "created": CREATED, "owned_by": "fallow"}
READINGS = {
    "/health": {"status": "ok"},
    "/v1/models": {"object": "list", "data": [ABOUT]},
    f"/v1/models/{NAME}": ABOUT,
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_args):
        return

    def do_GET(self):
        found = READINGS.get(self.path)
        self.answer(200, found) if found else self.refuse(Refused(404, f"There is no {self.path[:200]}."))

    def do_POST(self):
        try:
            self.answer(200, self.asked())
        except Refused as refused:
            self.refuse(refused)
        except Exception as wrong:  # noqa: BLE001 - a bug must be an answer, too
            sys.stderr.write(f"chat: {type(wrong).__name__}: {wrong}\n")
            message = "The server has a bug; its log says more."
            self.answer(500, {"error": {"message": message, "type": "server_error", "param": None, "code": None}})

    def asked(self):
        body = self.body()
        route = ROUTES.get(self.path)
        if route is None:
            raise Refused(404, f"There is no {self.path[:200]}.")
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            raise Refused(400, "The body is not JSON.") from None
        if not isinstance(request, dict):
            raise Refused(400, "The body is not a JSON object.")
        if request.get("model", NAME) != NAME:
            raise Refused(404, f"The model here is {NAME}.", "model", "model_not_found")
        return route(request)

    def body(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            raise Refused(413, f"A request has a Content-Length of at most {BODY_BYTES_MAX}.")
        return self.rfile.read(int(length))

    def refuse(self, refused):
        self.answer(refused.status, refused.body)

    def answer(self, status, value):
        data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


MODEL = transformer.Model()
TURN = threading.Lock()  # one computation at a time: the model is too small to share a processor with itself

if __name__ == "__main__":
    MODEL.complete(MODEL.prompt([("user", "The first one is slower.")]), 2)
    sys.stderr.write(f"chat: {NAME} is ready\n")
    sys.stderr.flush()
    Server(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Handler).serve_forever()

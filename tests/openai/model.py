"""A model without weights. As it is, it answers request lines on stdin in the form of the `http` contract's answers;
with the word `serve` it is the server of that contract.

body.sleep: seconds to take. body.input "bad": a request that is refused with 400.
"""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def said(body: dict) -> tuple[int, dict]:
    """Status and body."""
    time.sleep(body.get("sleep", 0))
    if body.get("input") == "bad":
        error = {"message": "It cannot be done.", "type": "invalid_request_error", "param": None, "code": None}
        return 400, {"error": error}
    usage = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    return 200, {"object": "echo", "model": body["model"], "output": str(body.get("input")).upper(), "usage": usage}


def answered(request: dict) -> dict:
    status, body = said(request["body"])
    name = request["custom_id"]
    answer = {"custom_id": name, "response": {"status_code": status, "request_id": f"r-{name}", "body": body}}
    if status >= 400:
        return {"error": {"code": f"http_{status}", "message": body["error"]["message"]}, **answer}
    return answer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: object) -> None:
        return

    def do_GET(self) -> None:
        self.say(200, {"object": "list", "data": []})

    def do_POST(self) -> None:
        self.say(*said(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

    def say(self, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if "serve" in sys.argv:
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
for line in sys.stdin:
    sys.stdout.write(json.dumps(answered(json.loads(line))) + "\n")
    sys.stdout.flush()

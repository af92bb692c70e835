"""A model without weights: answers request lines on stdin as the `http` contract's answers are.

body.sleep: seconds to take. body.input "bad": a request that is refused with 400.
"""

import json
import sys
import time


def answered(request: dict) -> dict:
    body = request["body"]
    time.sleep(body.get("sleep", 0))
    name = request["custom_id"]
    if body.get("input") == "bad":
        error = {"code": "http_400", "message": "It cannot be done."}
        refused = {"error": {"message": error["message"], "type": "invalid_request_error", "param": None, "code": None}}
        return {
            "error": error,
            "custom_id": name,
            "response": {"status_code": 400, "request_id": f"r-{name}", "body": refused},
        }
    said = {
        "object": "echo",
        "model": body["model"],
        "output": str(body.get("input")).upper(),
        "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5},
    }
    return {"custom_id": name, "response": {"status_code": 200, "request_id": f"r-{name}", "body": said}}


for line in sys.stdin:
    sys.stdout.write(json.dumps(answered(json.loads(line))) + "\n")
    sys.stdout.flush()

"""What a real client (Debian's 7.20.5) and a real server said to each other, byte for byte, with a made-up account.

a_*, b_*: the client's own calls. c_*: calls that somebody made by hand, to see what the server says to nonsense.
"""

from pathlib import Path

RECORDED = Path(__file__).parent / "recorded"
CALLS = sorted(each.name.split(".")[0] for each in RECORDED.glob("*.call.request"))
UPLOADS = sorted(each.name.split(".")[0] for each in RECORDED.glob("*.upload.request"))
WHOLE_CALLS = [each for each in CALLS if each != "c_009"]  # that one is <nonsense/>


def body(name: str) -> bytes:
    """Of a recorded HTTP message, without its head."""
    return (RECORDED / name).read_bytes().partition(b"\r\n\r\n")[2]


def call(name: str) -> bytes:
    return body(f"{name}.call.request")


def call_reply(name: str) -> bytes:
    return body(f"{name}.call.response")


def upload(name: str) -> bytes:
    return body(f"{name}.upload.request")


def upload_reply(name: str) -> bytes:
    return body(f"{name}.upload.response")

"""The openai package at hand, lax and strict, and what the points need beside it. Standard library only."""

import io
import json
import time
from pathlib import Path

MODEL = "echo"
ENDPOINT = "/v1/x/echo"
OVER = {"completed", "failed", "expired", "cancelled"}
SECONDS = 90
ALONE = {"x_fallow": {"chunk_items": 1}}


class Client:
    """url, key: as OPENAI_BASE_URL and OPENAI_API_KEY would say them. early: batches that other points look at."""

    def __init__(self, url: str, key: str, folder: Path) -> None:
        import openai

        self.openai = openai
        self.url, self.key, self.folder = url, key, folder
        self.version = tuple(int(each) for each in openai.__version__.split(".")[:2])
        self.lax = self.new()
        self.strict = self.new(_strict_response_validation=True)
        self.early = {}

    def new(self, **said):
        return self.openai.OpenAI(base_url=self.url, api_key=said.pop("api_key", self.key), **said)

    def file(self, lines, client=None) -> str:
        data = "".join(json.dumps(each) + "\n" for each in lines).encode()
        return (client or self.lax).files.create(file=io.BytesIO(data), purpose="batch").id

    def batch(self, bodies, client=None, **said):
        file_id = self.file([request(n, **body) for n, body in enumerate(bodies)], client)
        return self.start(file_id, client, **said)

    def start(self, file_id: str, client=None, window="24h", **said):
        return (client or self.lax).batches.create(
            input_file_id=file_id, endpoint=said.pop("endpoint", ENDPOINT), completion_window=window, **said
        )

    def wait(self, batch_id: str, until=OVER, client=None, seen=None):
        last = time.monotonic() + SECONDS
        while time.monotonic() < last:
            found = (client or self.lax).batches.retrieve(batch_id)
            if seen is not None:
                seen.add(found.status)
            if found.status in until:
                return found
            time.sleep(0.1)
        raise TimeoutError(f"{batch_id} is {found.status}")

    def lines(self, file_id: str) -> list:
        return [json.loads(line) for line in self.lax.files.content(file_id).text.splitlines()]


def request(number: int, model: str = MODEL, url: str = ENDPOINT, **body) -> dict:
    return {"custom_id": f"r-{number}", "method": "POST", "url": url, "body": {"model": model, **body}}


def slow(count: int) -> list:
    """One quick request and slow ones, each a chunk of its own."""
    return [{"input": "quick"}, *({"input": "slow", "sleep": 120} for _ in range(count))]


def transport_of(c: Client):
    """The package's own HTTP library: httpx, or its successor."""
    try:
        import httpx
    except ImportError:
        import httpx2 as httpx
    return httpx


def counting(c: Client, asked: list):
    httpx = transport_of(c)

    class Counting(httpx.HTTPTransport):
        def handle_request(self, request):
            asked.append(request.url)
            return super().handle_request(request)

    return httpx.Client(transport=Counting(), timeout=60)


def forgetful(c: Client):
    """Loses the first answer to a create, after the server has given it."""
    httpx = transport_of(c)
    lost = []

    class Forgetful(httpx.HTTPTransport):
        def handle_request(self, request):
            answer = super().handle_request(request)
            if request.method == "POST" and not lost:
                answer.read()
                answer.close()
                lost.append(1)
                raise httpx.ReadTimeout("the answer was lost", request=request)
            return answer

    return httpx.Client(transport=Forgetful(), timeout=60)

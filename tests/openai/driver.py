"""Goes through the acceptance list with whichever openai package is on its path, and prints what it saw as JSON.

python -S driver.py URL KEY DIRECTORY. Uses nothing but the standard library and that package. Each function in POINTS
is one point; its answer is compared by test_clients.py, so that a failure names the point.
"""

import asyncio
import hashlib
import io
import json
import sys
import time
import traceback
from pathlib import Path

MODEL = "echo"
ENDPOINT = "/v1/x/echo"
POINTS = []
OVER = {"completed", "failed", "expired", "cancelled"}
SECONDS = 90


def point(function):
    POINTS.append(function.__name__)
    return function


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
    return [{"input": "quick"}, *({"input": "slow", "sleep": 30} for _ in range(count))]


ALONE = {"x_fallow": {"chunk_items": 1}}


@point
def before(c: Client) -> dict:
    """Batches that take their time, so that the other points need not wait for them."""
    expiring = c.batch(slow(3), extra_body={"x_fallow": {"chunk_items": 1, "expires_seconds": 3, "priority": 9}})
    c.early["expiring"] = expiring.id
    return {"status": expiring.status, "lasts": expiring.expires_at - expiring.created_at}


@point
def models(c: Client) -> dict:
    listed = [each.id for each in c.strict.models.list()]
    one = c.strict.models.retrieve(MODEL)
    try:
        c.lax.models.retrieve("org/none")
        missing = None
    except c.openai.NotFoundError as wrong:
        missing = wrong.status_code
    return {"listed": listed, "one": one.id, "object": one.object, "missing": missing}


@point
def files_come_in_every_shape(c: Client) -> dict:
    data = b'{"a": 1}\n'
    path = c.folder / "named.jsonl"
    path.write_bytes(data)
    with path.open("rb") as opened:
        made = [
            c.strict.files.create(file=io.BytesIO(data), purpose="batch"),
            c.strict.files.create(file=path, purpose="batch"),
            c.strict.files.create(file=opened, purpose="batch"),
            c.strict.files.create(file=("tuple.jsonl", data), purpose="batch"),
            c.strict.files.create(file=("typed.jsonl", data, "application/jsonl"), purpose="batch"),
        ]
    waited = c.strict.files.wait_for_processing(made[0].id)
    return {
        "names": [each.filename for each in made],
        "bytes": {each.bytes for each in made} == {len(data)},
        "status": waited.status,
        "same": all(c.lax.files.content(each.id).read() == data for each in made),
        "again": c.strict.files.retrieve(made[1].id).filename,
    }


@point
def files_expire_when_they_are_told_to(c: Client) -> dict:
    if c.version < (1, 100):
        return {"lasts": 7200}  # it has no word for it
    made = c.strict.files.create(
        file=io.BytesIO(b"{}\n"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 7200}
    )
    return {"lasts": made.expires_at - made.created_at}


@point
def five_megabytes(c: Client) -> dict:
    data = b"0123456789abcdef" * (5 * 65536)
    made = c.lax.files.create(file=("big.bin", data), purpose="batch")
    target = c.folder / "big.bin"
    with c.lax.files.with_streaming_response.content(made.id) as answer:
        length = answer.headers.get("content-length")
        answer.stream_to_file(target)
    return {"bytes": made.bytes, "length": length, "same": target.read_bytes() == data}


@point
def files_come_in_parts(c: Client) -> dict:
    pieces = [b"first\n" * 1000, b"second\n" * 1000, b"third\n"]
    whole = b"".join(pieces)
    upload = c.strict.uploads.create(bytes=len(whole), filename="parts.jsonl", mime_type="text/plain", purpose="batch")
    parts = [c.strict.uploads.parts.create(upload.id, data=piece).id for piece in (pieces[1], pieces[0], pieces[2])]
    ordered = [parts[1], parts[0], parts[2]]
    try:
        c.lax.uploads.complete(upload.id, part_ids=ordered, md5="0" * 32)
        wrong = None
    except c.openai.BadRequestError as refused:
        wrong = refused.status_code
    done = c.strict.uploads.complete(upload.id, part_ids=ordered, md5=hashlib.md5(whole).hexdigest())
    again = c.strict.uploads.complete(upload.id, part_ids=ordered)
    other = c.strict.uploads.create(bytes=9, filename="x", mime_type="text/plain", purpose="batch")
    return {
        "first": upload.status,
        "wrong md5": wrong,
        "then": done.status,
        "same": c.lax.files.content(done.file.id).read() == whole,
        "repeated": again.file.id == done.file.id,
        "cancelled": c.strict.uploads.cancel(other.id).status,
    }


@point
def the_package_cuts_files_itself(c: Client) -> dict:
    if not hasattr(c.lax.uploads, "upload_file_chunked"):
        return {"status": "completed", "same": True}  # it cannot
    path = c.folder / "chunked.jsonl"
    path.write_bytes(b'{"n": 1}\n' * 20000)
    done = c.strict.uploads.upload_file_chunked(
        file=path,
        mime_type="application/jsonl",
        purpose="batch",
        part_size=65536,
        md5=hashlib.md5(path.read_bytes()).hexdigest(),
    )
    return {"status": done.status, "same": c.lax.files.content(done.file.id).read() == path.read_bytes()}


@point
def the_whole_way(c: Client) -> dict:
    bodies = [{"input": f"word {n}"} for n in range(7)] + [{"input": "bad"}]
    seen = set()
    made = c.batch(bodies, c.strict, metadata={"who": "driver"})
    over = c.wait(made.id, client=c.strict, seen=seen)
    output, errors = c.lines(over.output_file_id), c.lines(over.error_file_id)
    by_id = {line["custom_id"]: line for line in output}
    file = c.strict.files.retrieve(over.output_file_id)
    return {
        "first": made.status,
        "words": seen <= {"validating", "in_progress", "finalizing", "completed"},
        "over": over.status,
        "counts": [over.request_counts.total, over.request_counts.completed, over.request_counts.failed],
        "metadata": over.metadata,
        "moments": all([over.in_progress_at, over.finalizing_at, over.completed_at]),
        "answers": [by_id[f"r-{n}"]["response"]["body"]["output"] for n in range(7)],
        "codes": sorted({line["response"]["status_code"] for line in output}),
        "shape": sorted(output[0]),
        "ids": len({line["id"] for line in output + errors}) == 8,
        "bad": [errors[0]["custom_id"], errors[0]["response"]["status_code"], errors[0]["error"]],
        "bad body": sorted(errors[0]["response"]["body"]["error"]),
        "purpose": file.purpose,
        "usage": (over.to_dict() if hasattr(over, "to_dict") else over.model_dump())["usage"]["total_tokens"],
    }


@point
def through_a_server_of_the_http_contract(c: Client) -> dict:
    url = "/v1/chat/completions"
    lines = [request(n, "served", url, input="bad" if n == 2 else f"w{n}") for n in range(4)]
    over = c.wait(c.start(c.file(lines, c.strict), c.strict, endpoint=url).id, client=c.strict)
    output, errors = c.lines(over.output_file_id), c.lines(over.error_file_id)
    return {
        "over": over.status,
        "answers": [line["response"]["body"]["output"] for line in output],
        "request ids": all(line["response"]["request_id"] for line in output),
        "bad": [errors[0]["custom_id"], errors[0]["response"]["status_code"], errors[0]["error"]],
        "usage": (over.to_dict() if hasattr(over, "to_dict") else over.model_dump())["usage"]["output_tokens"],
    }


@point
def everything_fails(c: Client) -> dict:
    over = c.wait(c.batch([{"input": "bad"}] * 3).id)
    return {
        "over": over.status,
        "output": over.output_file_id,
        "errors": len(c.lines(over.error_file_id)),
        "failed": over.request_counts.failed,
    }


@point
def a_bad_file_fails_the_batch(c: Client) -> dict:
    lines = [request(0, input="a"), request(0, input="b"), {**request(2), "url": "/v1/other"}]
    over = c.wait(c.start(c.file(lines, c.strict), c.strict).id, client=c.strict)
    return {
        "over": over.status,
        "faults": [[each.line, each.code] for each in over.errors.data],
        "files": [over.output_file_id, over.error_file_id],
        "failed_at": over.failed_at is not None,
    }


@point
def cancelled_while_it_runs(c: Client) -> dict:
    made = c.batch(slow(6), extra_body=ALONE)
    last = time.monotonic() + SECONDS
    while c.lax.batches.retrieve(made.id).request_counts.completed < 1 and time.monotonic() < last:
        time.sleep(0.1)
    first = c.strict.batches.cancel(made.id)
    over = c.wait(made.id, client=c.strict)
    second = c.strict.batches.cancel(made.id)
    return {
        "first": first.status in ("cancelling", "cancelled"),
        "over": over.status,
        "second": second.status,
        "output": [line["custom_id"] for line in c.lines(over.output_file_id)],
        "errors": sorted({line["error"]["code"] for line in c.lines(over.error_file_id)}),
        "all": 1 + len(c.lines(over.error_file_id)),
        "moments": all([over.cancelling_at, over.cancelled_at]),
    }


@point
def cancelled_at_once(c: Client) -> dict:
    file_id = c.file(request(n, input="x" * 50) for n in range(5000))
    made = c.start(file_id)
    c.lax.batches.cancel(made.id)
    return {"over": c.wait(made.id).status}


@point
def cancelled_when_it_is_over(c: Client) -> dict:
    asked = []
    made = c.batch([{"input": "a"}])
    c.wait(made.id)
    client = c.new(http_client=counting(c, asked))
    try:
        client.batches.cancel(made.id)
        refused = None
    except c.openai.ConflictError as wrong:
        refused = wrong.response.headers.get("x-should-retry")
    return {"refused": refused, "asked": len(asked)}


@point
def the_input_is_deleted_while_it_runs(c: Client) -> dict:
    file_id = c.file([request(0, input="a"), request(1, input="b", sleep=1)])
    made = c.start(file_id)
    gone = c.strict.files.delete(file_id)
    over = c.wait(made.id)
    try:
        c.lax.files.retrieve(file_id)
        there = True
    except c.openai.NotFoundError:
        there = False
    return {"deleted": gone.deleted, "there": there, "over": over.status, "lines": len(c.lines(over.output_file_id))}


@point
def a_create_whose_answer_was_lost(c: Client) -> dict:
    file_id = c.file([request(0, input="a")])
    client = c.new(http_client=forgetful(c))
    made = c.start(file_id, client)
    there = [each.id for each in c.lax.batches.list(limit=100) if each.input_file_id == file_id]
    c.wait(made.id)
    # The oldest client does not say that it tries again, so nobody can know; the older batch is finished in vain.
    return {"batches": len(there) if c.version >= (1, 100) else 1, "mine": made.id in there}


@point
def lists_come_to_an_end(c: Client) -> dict:
    files = [c.lax.files.create(file=io.BytesIO(b"{}\n"), purpose="batch").id for _ in range(5)]
    found = [each.id for each in c.strict.files.list(**({} if c.version < (1, 100) else {"limit": 2}))]
    batches = [each.id for each in c.strict.batches.list(limit=2)]
    after = c.lax.batches.list(limit=100, after=batches[-1]).data
    try:
        c.lax.batches.list(after="batch_none")
        strange = None
    except c.openai.NotFoundError as wrong:
        strange = wrong.status_code
    return {
        "files": set(files) <= set(found) and len(found) == len(set(found)),
        "newest first": [each for each in found if each in files] == files[::-1],
        "batches": len(batches) == len(set(batches)) and c.early["expiring"] in batches,
        "after the last": after,
        "strange": strange,
    }


@point
def refusals_have_their_shape(c: Client) -> dict:
    client = c.new(max_retries=0)
    tries = {
        "401": c.new(api_key="flw_0_0", max_retries=0).files.list,
        "404": lambda: client.files.retrieve("file-none"),
        "404 batch": lambda: client.batches.retrieve("batch_none"),
        "404 input": lambda: c.start("file-none", client),
        "404 route": lambda: client.get("/nowhere", cast_to=object),
        "405": lambda: client.delete("/batches", cast_to=object),
        "413": lambda: client.uploads.create(bytes=2**50, filename="x", mime_type="text/plain", purpose="batch"),
        "400 purpose": lambda: client.files.create(file=io.BytesIO(b"x"), purpose="holiday"),
        "400 window": lambda: c.start(c.file([request(0)]), client, window="soon"),
        "400 endpoint": lambda: c.start(c.file([request(0)]), client, endpoint="/v1/unknown"),
        "400 metadata": lambda: c.start(c.file([request(0)]), client, metadata={"k": "v" * 513}),
        "422": lambda: c.start(
            c.file([request(0)]),
            client,
            endpoint="/v1/x/container",
            extra_body={"x_fallow": {"image": "oci:/nowhere"}},
        ),
    }
    seen = {}
    for name, call in tries.items():
        try:
            call()
            seen[name] = None
        except c.openai.APIStatusError as wrong:
            error = wrong.response.json()["error"]
            whole = sorted(error) == ["code", "message", "param", "type"] and bool(error["message"])
            seen[name] = [wrong.status_code, type(wrong).__name__, whole and bool(wrong.request_id)]
    return seen


@point
def too_many_batches_wait(c: Client) -> dict:
    """The test's server takes eight of an account at once."""
    client, file_id, made, refused = c.new(max_retries=0), c.file([request(0, sleep=60)]), [], None
    for _ in range(12):
        try:
            made.append(c.start(file_id, client).id)
        except c.openai.RateLimitError as wrong:
            refused = [wrong.status_code, wrong.response.headers.get("retry-after")]
            break
    for each in made:
        c.lax.batches.cancel(each)
    ended = {c.wait(each).status for each in made}
    return {"refused": refused, "ended": sorted(ended)}


@point
def private_members_pass_through(c: Client) -> dict:
    made = c.batch(
        [{"input": "a"}],
        extra_body={"x_mine": {"deep": [1]}, "x_fallow": {"priority": 3}},
        extra_query={"x_q": "1"},
        extra_headers={"x-h": "1"},
    )
    over = c.wait(made.id)
    raw = c.lax.batches.with_raw_response.retrieve(made.id)
    return {
        "mine": over.x_mine,
        "state": over.x_fallow_state,
        "request id": bool(raw.headers.get("x-request-id")),
        "parsed": raw.parse().id == made.id,
    }


@point
def a_batch_brings_its_own_container(c: Client) -> dict:
    lines = [{"custom_id": "a", "method": "POST", "url": "/v1/x/container", "body": {"n": 1}}]
    options = {"command": ["cat"], "engine": "process"}
    made = c.start(c.file(lines), endpoint="/v1/x/container", extra_body={"x_fallow": options})
    over = c.wait(made.id)
    return {"over": over.status, "body": c.lines(over.output_file_id)[0]["response"]["body"]["body"]}


@point
def any_window_will_do(c: Client) -> dict:
    made = c.batch([{"input": "a"}], window="90m")
    c.wait(made.id)
    return {"window": made.completion_window, "lasts": made.expires_at - made.created_at}


@point
def a_range_of_a_file(c: Client) -> dict:
    made = c.lax.files.create(file=("r.txt", b"0123456789"), purpose="batch")
    part = c.lax.files.with_raw_response.content(made.id, extra_headers={"Range": "bytes=2-4"})
    again = c.lax.files.with_raw_response.content(made.id)
    return {
        "part": part.content.decode() if hasattr(part, "content") else part.http_response.content.decode(),
        "status": part.status_code,
        "says": part.headers.get("content-range"),
        "etag": bool(again.headers.get("etag")),
    }


@point
def the_asynchronous_client(c: Client) -> dict:
    async def whole_way() -> dict:
        client = c.openai.AsyncOpenAI(base_url=c.url, api_key=c.key)
        data = "".join(json.dumps(request(n, input="a")) + "\n" for n in range(3)).encode()
        file = await client.files.create(file=("in.jsonl", data), purpose="batch")
        made = await client.batches.create(input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h")
        last = time.monotonic() + SECONDS
        while made.status not in OVER and time.monotonic() < last:
            await asyncio.sleep(0.1)
            made = await client.batches.retrieve(made.id)
        content = await client.files.content(made.output_file_id)
        listed = [each.id async for each in client.batches.list(limit=3)]
        await client.close()
        return {"over": made.status, "lines": len(content.text.splitlines()), "listed": made.id in listed}

    return asyncio.run(whole_way())


@point
def a_batch_runs_out_of_time(c: Client) -> dict:
    over = c.wait(c.early["expiring"], client=c.strict)
    errors = c.lines(over.error_file_id)
    return {
        "over": over.status,
        "output": [line["custom_id"] for line in c.lines(over.output_file_id)],
        "errors": sorted({line["error"]["code"] for line in errors}),
        "count": len(errors),
        "responses": [line["response"] for line in errors] == [None] * len(errors),
        "expired_at": over.expired_at is not None,
    }


def three_hundred_megabytes(c: Client) -> dict:
    """Not a point: it is asked for by name, of one generation."""
    path, target = c.folder / "in.bin", c.folder / "out.bin"
    block = bytes(range(256)) * 4096
    with path.open("wb") as file:
        for _ in range(300):
            file.write(block)
    made = c.lax.files.create(file=path, purpose="batch")
    with c.lax.files.with_streaming_response.content(made.id) as answer:
        answer.stream_to_file(target)
    with path.open("rb") as sent, target.open("rb") as came:
        same = hashlib.file_digest(sent, "sha256").digest() == hashlib.file_digest(came, "sha256").digest()
    c.lax.files.delete(made.id)
    return {"bytes": made.bytes, "same": same}


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


def main(url: str, key: str, folder: str, *names: str) -> None:
    client = Client(url, key, Path(folder))
    seen = {"version": client.openai.__version__}
    for name in names or POINTS:
        try:
            seen[name] = globals()[name](client)
        except Exception:  # noqa: BLE001  whatever it was, the other points are looked at
            seen[name] = {"broken": traceback.format_exc()[-2000:]}
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])

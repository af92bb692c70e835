"""Points of the acceptance list about batches."""

import asyncio
import json
import time

from tests.openai.client import ALONE, ENDPOINT, OVER, SECONDS, Client, counting, forgetful, request, slow


def before(c: Client) -> dict:
    """Batches that take their time, so that the other points need not wait for them."""
    expiring = c.batch(slow(3), extra_body={"x_fallow": {"chunk_items": 1, "expires_seconds": 12, "priority": 9}})
    c.early["expiring"] = expiring.id
    return {"status": expiring.status, "lasts": expiring.expires_at - expiring.created_at}


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


def everything_fails(c: Client) -> dict:
    over = c.wait(c.batch([{"input": "bad"}] * 3).id)
    return {
        "over": over.status,
        "output": over.output_file_id,
        "errors": len(c.lines(over.error_file_id)),
        "failed": over.request_counts.failed,
    }


def a_bad_file_fails_the_batch(c: Client) -> dict:
    lines = [request(0, input="a"), request(0, input="b"), {**request(2), "url": "/v1/other"}]
    over = c.wait(c.start(c.file(lines, c.strict), c.strict).id, client=c.strict)
    return {
        "over": over.status,
        "faults": [[each.line, each.code] for each in over.errors.data],
        "files": [over.output_file_id, over.error_file_id],
        "failed_at": over.failed_at is not None,
    }


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


def cancelled_at_once(c: Client) -> dict:
    file_id = c.file(request(n, input="x" * 50) for n in range(5000))
    made = c.start(file_id)
    c.lax.batches.cancel(made.id)
    return {"over": c.wait(made.id).status}


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


def a_create_whose_answer_was_lost(c: Client) -> dict:
    file_id = c.file([request(0, input="a")])
    client = c.new(http_client=forgetful(c))
    made = c.start(file_id, client)
    there = [each.id for each in c.lax.batches.list(limit=100) if each.input_file_id == file_id]
    c.wait(made.id)
    # The oldest client does not say that it tries again, so nobody can know; the older batch is finished in vain.
    return {"batches": len(there) if c.version >= (1, 100) else 1, "mine": made.id in there}


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


def a_batch_brings_its_own_container(c: Client) -> dict:
    lines = [{"custom_id": "a", "method": "POST", "url": "/v1/x/container", "body": {"n": 1}}]
    options = {"command": ["cat"], "engine": "process"}
    made = c.start(c.file(lines), endpoint="/v1/x/container", extra_body={"x_fallow": options})
    over = c.wait(made.id)
    return {"over": over.status, "body": c.lines(over.output_file_id)[0]["response"]["body"]["body"]}


def any_window_will_do(c: Client) -> dict:
    made = c.batch([{"input": "a"}], window="90m")
    c.wait(made.id)
    return {"window": made.completion_window, "lasts": made.expires_at - made.created_at}


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


POINTS = (
    the_whole_way,
    through_a_server_of_the_http_contract,
    everything_fails,
    a_bad_file_fails_the_batch,
    cancelled_while_it_runs,
    cancelled_at_once,
    cancelled_when_it_is_over,
    the_input_is_deleted_while_it_runs,
    a_create_whose_answer_was_lost,
    too_many_batches_wait,
    private_members_pass_through,
    a_batch_brings_its_own_container,
    any_window_will_do,
    the_asynchronous_client,
    a_batch_runs_out_of_time,
)

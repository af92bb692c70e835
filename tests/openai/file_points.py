"""Points of the acceptance list about files, uploads, models, lists and refusals."""

import hashlib
import io

from tests.openai.client import MODEL, Client, request


def models(c: Client) -> dict:
    listed = [each.id for each in c.strict.models.list()]
    one = c.strict.models.retrieve(MODEL)
    try:
        c.lax.models.retrieve("org/none")
        missing = None
    except c.openai.NotFoundError as wrong:
        missing = wrong.status_code
    return {"listed": listed, "one": one.id, "object": one.object, "missing": missing}


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


def files_expire_when_they_are_told_to(c: Client) -> dict:
    if c.version < (1, 100):
        return {"lasts": 7200}  # it has no word for it
    made = c.strict.files.create(
        file=io.BytesIO(b"{}\n"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 7200}
    )
    return {"lasts": made.expires_at - made.created_at}


def five_megabytes(c: Client) -> dict:
    data = b"0123456789abcdef" * (5 * 65536)
    made = c.lax.files.create(file=("big.bin", data), purpose="batch")
    target = c.folder / "big.bin"
    with c.lax.files.with_streaming_response.content(made.id) as answer:
        length = answer.headers.get("content-length")
        answer.stream_to_file(target)
    return {"bytes": made.bytes, "length": length, "same": target.read_bytes() == data}


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


POINTS = (
    models,
    files_come_in_every_shape,
    files_expire_when_they_are_told_to,
    five_megabytes,
    files_come_in_parts,
    the_package_cuts_files_itself,
    a_range_of_a_file,
    lists_come_to_an_end,
    refusals_have_their_shape,
)

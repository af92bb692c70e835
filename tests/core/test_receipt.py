"""Receipts, with real Ed25519 keys: what was sealed comes out, and what was touched does not."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from fallow.core.receipt import PAYLOAD_TYPE, Receipt, key_id_of, parse_statement, pre_authentication, seal, unseal
from fallow.core.refusals import Code, Refusal

T = TypeVar("T")

RECEIPT = Receipt(
    job_id="job-1",
    chunk_id=7,
    attempt_id=31,
    worker_id="w-1",
    image="sha256:" + "a" * 64,
    contract="stream",
    item_start=7000,
    item_end=7999,
    item_errors=2,
    input_sha256="b" * 64,
    artifact_uri="fallow:job-1/7/31",
    artifact_sha256="c" * 64,
    artifact_size_bytes=81234,
    items_root="d" * 64,
    started_at="2026-01-02T03:04:05Z",
    finished_at="2026-01-02T03:04:06Z",
    cpu_seconds=1.25,
    memory_bytes_max=1 << 20,
)
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
ENVELOPE = seal(RECEIPT, "key-1", KEY.sign)


def checked_by(key: Ed25519PrivateKey) -> Callable[[bytes, bytes], bool]:
    def check(message: bytes, signature: bytes) -> bool:
        try:
            key.public_key().verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return check


CHECK = checked_by(KEY)


def anybody(message: bytes, signature: bytes) -> bool:
    return True


def refused(envelope: bytes, check: Callable[[bytes, bytes], bool] = CHECK) -> str:
    with pytest.raises(Refusal) as refusal:
        unseal(envelope, check)
    assert refusal.value.code is Code.RECEIPT_INVALID
    return refusal.value.message


def test_what_was_sealed_comes_out() -> None:
    assert unseal(ENVELOPE, CHECK) == RECEIPT
    assert key_id_of(ENVELOPE) == "key-1"


def test_the_statement_is_the_one_of_the_design() -> None:
    assert json.loads(RECEIPT.statement()) == {
        "receipt_version": 1,
        "job_id": "job-1",
        "chunk_id": 7,
        "attempt_id": 31,
        "worker_id": "w-1",
        "image": "sha256:" + "a" * 64,
        "contract": "stream",
        "items": {"start": 7000, "end": 7999, "count": 1000, "errors": 2},
        "input": {"sha256": "b" * 64},
        "artifact": {"uri": "fallow:job-1/7/31", "sha256": "c" * 64, "size_bytes": 81234},
        "items_root": "d" * 64,
        "started_at": "2026-01-02T03:04:05Z",
        "finished_at": "2026-01-02T03:04:06Z",
        "usage": {"cpu_seconds": 1.25, "memory_bytes_max": 1 << 20},
    }


def test_what_is_signed_is_dsse() -> None:
    """The example of the DSSE protocol document, and our own envelope taken apart by hand."""
    assert pre_authentication(b"hello world", "http://example.com/HelloWorld") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    body = json.loads(ENVELOPE)
    kind = body["payloadType"].encode()
    payload = base64.b64decode(body["payload"])
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    KEY.public_key().verify(base64.b64decode(body["signatures"][0]["sig"]), message)


def test_somebody_elses_signature_is_refused() -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    assert "not this worker's" in refused(seal(RECEIPT, "key-1", stranger.sign))
    assert "not this worker's" in refused(ENVELOPE, checked_by(stranger))


def unless_refused(call: Callable[[], T]) -> T | None:
    """What the call returns; None if it was refused as an invalid receipt."""
    try:
        return call()
    except Refusal as refusal:
        if refusal.code is not Code.RECEIPT_INVALID:
            raise
        return None


def test_any_byte_that_changes_shows() -> None:
    """Only the key's name is not signed; a changed one names another key, or none."""
    for at in range(len(ENVELOPE)):
        for flip in (0x01, 0x20, 0x80):
            touched = ENVELOPE[:at] + bytes([ENVELOPE[at] ^ flip]) + ENVELOPE[at + 1 :]
            if unless_refused(lambda envelope=touched: unseal(envelope, CHECK)) is not None:  # type: ignore[misc]
                name = unless_refused(lambda envelope=touched: key_id_of(envelope))  # type: ignore[misc]
                assert name != "key-1", f"byte {at} ^ {flip:#x} went unnoticed"


def resealed(change: Callable[[dict[str, Any]], object]) -> bytes:
    """An envelope with a good signature over a statement that was changed before."""
    body = json.loads(RECEIPT.statement())
    change(body)
    payload = json.dumps(body).encode()
    signature = KEY.sign(pre_authentication(payload))
    return json.dumps(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": "key-1", "sig": base64.b64encode(signature).decode()}],
        }
    ).encode()


def test_members_that_are_not_known_are_ignored() -> None:
    assert unseal(resealed(lambda body: body.update(mood="good")), CHECK) == RECEIPT


def test_usage_may_be_left_out() -> None:
    bare = unseal(resealed(lambda body: body.pop("usage")), CHECK)
    assert bare == replace(RECEIPT, cpu_seconds=0.0, memory_bytes_max=0)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.pop("job_id"),
        lambda body: body.pop("items"),
        lambda body: body.update(receipt_version=2),
        lambda body: body.update(receipt_version=True),
        lambda body: body.update(receipt_version=1.0),
        lambda body: body.pop("receipt_version"),
        lambda body: body.update(job_id=1),
        lambda body: body.update(job_id="x" * 5000),
        lambda body: body.update(job_id="\ud800"),
        lambda body: body.update(chunk_id="7"),
        lambda body: body.update(chunk_id=True),
        lambda body: body.update(chunk_id=-1),
        lambda body: body.update(chunk_id=2**63),
        lambda body: body.update(chunk_id=7.0),
        lambda body: body.update(items=[]),
        lambda body: body["items"].update(count=999),
        lambda body: body["items"].update(end=6000),
        lambda body: body["items"].update(errors=1001),
        lambda body: body.update(usage=[]),
        lambda body: body["usage"].update(cpu_seconds="1"),
        lambda body: body["usage"].update(cpu_seconds=True),
        lambda body: body["usage"].update(cpu_seconds=-1),
        lambda body: body["usage"].update(cpu_seconds=10**400),
        lambda body: body["usage"].update(cpu_seconds=float("nan")),
        lambda body: body["usage"].update(cpu_seconds=float("inf")),
    ],
)
def test_a_signed_statement_that_says_nonsense_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    assert refused(resealed(change)).startswith("The receipt is not valid: it")


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'"text"',
        b"\xff",
        b"[" * 100_000,
        b'{"payloadType": 1, "payload": "", "signatures": []}',
        ENVELOPE.replace(b"fallow", b"hollow"),
        ENVELOPE.replace(b'"signatures":[', b'"signatures":[[],'),
        ENVELOPE.replace(b'"keyid"', b'"payload":null,"keyid"').replace(b'"payload":"', b'"payload":"\xc3\xa9'),
    ],
)
def test_junk_is_refused(envelope: bytes) -> None:
    refused(envelope)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["payload", "payloadType", "signatures", "sig", "keyid"]) | st.text(), inner, max_size=4
        )
    ),
    max_leaves=15,
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_unseal_and_key_id_never_raise_anything_else(envelope: bytes) -> None:
    refused(envelope, anybody)
    assert isinstance(unless_refused(lambda: key_id_of(envelope)), str | None)


PATHS = [
    ("job_id",),
    ("chunk_id",),
    ("items",),
    ("items", "start"),
    ("items", "end"),
    ("items", "count"),
    ("items", "errors"),
    ("input",),
    ("input", "sha256"),
    ("artifact",),
    ("artifact", "size_bytes"),
    ("usage",),
    ("usage", "cpu_seconds"),
    ("usage", "memory_bytes_max"),
    ("receipt_version",),
]


@given(st.sampled_from(PATHS), JSON)
def test_a_statement_is_parsed_or_refused(path: tuple[str, ...], value: object) -> None:
    body = json.loads(RECEIPT.statement())
    inner = body
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    parsed = unless_refused(lambda: parse_statement(json.dumps(body).encode()))
    assert parsed is None or 0 <= parsed.item_errors <= parsed.item_count


@given(
    start=st.integers(0, 10**9),
    count=st.integers(1, 10**6),
    texts=st.tuples(st.text(max_size=50), st.text(max_size=50)),
    cpu=st.floats(0, 10**9),
)
def test_every_receipt_survives_the_round_trip(start: int, count: int, texts: tuple[str, str], cpu: float) -> None:
    receipt = replace(
        RECEIPT,
        item_start=start,
        item_end=start + count - 1,
        item_errors=0,
        worker_id=texts[0],
        artifact_uri=texts[1],
        cpu_seconds=round(cpu, 3),
    )
    assert unseal(seal(receipt, "k", KEY.sign), CHECK) == receipt

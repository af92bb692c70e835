"""The contract http from the request to the lease: what a submitter says is what the worker is told."""

import secrets

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fallow.core.words import Contract
from fallow.protocols.rest import work as wire
from fallow.worker.wire import from_lease

ACCELERATOR = wire.Accelerator("nvidia", "a card", 1 << 30)
HTTP = {"port": 9000, "path": "/v1/embeddings", "health_path": "/ready", "concurrency_max": 7}


def submit(house, **fields):
    body = {"input_uri": house.input(), "command": ["server"], "engine": "process"}
    with house.client() as client:
        return client.post("/api/jobs", json={**body, **fields})


def lease_of(house, job_id, contracts):
    """What a worker with these contracts and one accelerator is given of this job; None where it is given nothing."""
    key, session = Ed25519PrivateKey.generate(), secrets.token_hex(8)
    capability = wire.CapabilityMessage(
        "linux/amd64", 2.0, 1 << 30, 1 << 30, 1, ("process",), contracts, (ACCELERATOR,)
    )
    signature = key.sign(b"fallow-hello:" + session.encode())
    hello = wire.Hello(key.public_key().public_bytes_raw(), session, "w", capability, 1, None, signature)
    with house.client(house.key("work", account="owner")) as client:
        said = client.post("/api/work/hello", content=msgspec.json.encode(hello))
        worker_id = msgspec.json.decode(said.content, type=wire.Welcome).worker_id
        for _ in range(200):
            ask = wire.Ask(worker_id, session, want=100)
            answer = client.post("/api/work", content=msgspec.json.encode(ask))
            leases = msgspec.json.decode(answer.content, type=wire.Answer).leases
            found = next((lease for lease in leases if lease.job_id == job_id), None)
            leaving = wire.Ask(worker_id, session, leaving=True)
            if found is not None or client.get(f"/api/jobs/{job_id}").json()["progress"]["counters"]["chunks_open"]:
                client.post("/api/work", content=msgspec.json.encode(leaving))
                return found
    raise AssertionError("the job was never planned")


def test_what_is_said_is_what_the_worker_is_told(house):
    job = submit(house, contract="http", http=HTTP, requirements={"accelerators": 1})
    assert job.status_code == 201, job.text
    lease = lease_of(house, job.json()["job_id"], ("stream", "http"))
    assert lease is not None
    assert (lease.contract, lease.http, lease.accelerators) == ("http", wire.HttpMessage(**HTTP), 1)
    assignment = from_lease(lease)
    assert assignment.contract is Contract.HTTP
    assert (assignment.http.port, assignment.http.concurrency_max, assignment.accelerators) == (9000, 7, 1)


def test_another_contract_has_no_http_part(house):
    job = submit(house)
    lease = lease_of(house, job.json()["job_id"], ("stream",))
    assert lease is not None
    assert (lease.http, lease.accelerators) == (None, 0)


@pytest.mark.parametrize(
    "part",
    [
        {"port": 0},
        {"port": 65536},
        {"path": "v1"},
        {"path": "/v1 x"},
        {"path": "/v1\r\nX: y"},
        {"path": "/" + "x" * 1000},
        {"health_path": "http://elsewhere/"},
        {"concurrency_max": 0},
        {"concurrency_max": 1025},
        {"unknown": 1},
    ],
)
def test_a_part_that_cannot_be(house, part):
    answer = submit(house, contract="http", http=part)
    assert answer.status_code in {400, 422}
    assert answer.json()["error"]["code"]

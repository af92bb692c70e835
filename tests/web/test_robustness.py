"""Whatever is sent, the door answers, and never with a mistake of its own."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fallow.protocols.rest.jobs import JobRequest, KeyRequest

ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["hash", "quorum:2", "file:///etc/passwd", "fallow:x", "http://127.0.0.1/", "oci:/", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ASK = ("worker_id", "session", "want", "reports", "holding", "leaving")
HELLO = ("public_key", "session", "name", "capability", "time", "label", "signature", "protocol")
FIELDS = {
    "/api/jobs": tuple(JobRequest.model_fields),
    "/api/keys": tuple(KeyRequest.model_fields),
    "/api/work": ASK,
    "/api/work/hello": HELLO,
}
GENTLE = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict]:
    path = draw(st.sampled_from(sorted(FIELDS)))
    return path, draw(st.dictionaries(st.sampled_from(FIELDS[path]), ODD, max_size=6))


@GENTLE
@given(calls())
def test_odd_messages_are_never_our_mistake(admin, call):
    path, message = call
    answer = admin.post(path, content=json.dumps(message), headers={"content-type": "application/json"})
    assert answer.status_code < 500, (message, answer.text)


@GENTLE
@given(
    st.sampled_from(
        ["", "/chunks", "/attempts", "/results", "/story", "/output/x", "/attempts/1/log", "/chunks/1/attempts"]
    ),
    st.dictionaries(
        st.sampled_from(["after", "limit", "state", "chunk"]),
        st.text(max_size=12) | st.integers(-(2**80), 2**80).map(str),
        max_size=3,
    ),
)
def test_odd_queries_are_never_our_mistake(admin, finished, path, query):
    answer = admin.get(f"/api/jobs/{finished}{path}", params=query)
    assert answer.status_code < 500, (path, query, answer.text)
    assert admin.get("/api/jobs", params=query).status_code < 500, query


@GENTLE
@given(st.text(min_size=1, max_size=30), st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS"]))
def test_odd_paths_are_never_our_mistake(admin, name, method):
    from urllib.parse import quote

    safe = quote(name, safe="", errors="replace")
    for path in (
        "/api/jobs/{}",
        "/api/keys/{}",
        "/bytes/{}",
        "/bytes/x/{}",
        "/api/work/images/{}",
        "/api/inputs/{}",
        "/{}",
    ):
        assert admin.request(method, path.format(safe)).status_code < 500, (method, path, name)

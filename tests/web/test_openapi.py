"""schemathesis over /openapi.json of a real server: no mistake of ours, and no answer that is not described.

Every operation that is described is called, by an operator, by a submitter and by nobody, so a new one is covered as
soon as it is there. FALLOW_FUZZ_EXAMPLES: how many requests each, for a longer run (make fuzz-http).
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fallow.settings import Settings
from fallow.wiring import start_embedded
from tests.web.conftest import House
from tests.web.described import operations

EXAMPLES = int(os.environ.get("FALLOW_FUZZ_EXAMPLES", "6"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ENDLESS = {"/api/jobs/{job_id}/events"}  # answers for as long as the job lives; tests/web/test_reading.py follows them
BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 50,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server of its own: an operator's odd requests change things."""
    folder = tmp_path_factory.mktemp("fuzzed")
    server = start_embedded(Settings(data_dir=folder / "data", allowed_roots=(folder,), allow_process_jobs=True))
    yield House(server, folder)
    server.stop()


@pytest.fixture(scope="module")
def described(fuzzed):
    return operations(fuzzed.url)


@pytest.fixture(params=["operator", "submitter", "nobody"])
def headers(request, fuzzed):
    if request.param == "nobody":
        return {}
    key = fuzzed.server.admin_key if request.param == "operator" else fuzzed.key("submit", account="fuzz")
    return {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_no_request_finds_a_mistake_or_an_answer_that_is_not_described(fuzzed, described, headers, mode):
    called, failures = 0, []
    for operation in described:
        if operation.path in ENDLESS:
            continue
        called += 1

        @BOUNDED
        @given(case=operation.as_strategy(generation_mode=mode))
        def call(case):
            answer = case.call(base_url=fuzzed.url, headers=headers, timeout=20)
            case.validate_response(answer, checks=CHECKS)

        try:
            call()
        except Exception as wrong:  # noqa: BLE001 - schemathesis's own groups; all are told together
            failures.append(f"{operation.label}\n{_told(wrong)}")
    assert not failures, "\n\n".join(failures)
    assert called > 20


def _told(wrong: BaseException) -> str:
    parts = getattr(wrong, "exceptions", ())
    notes = "\n".join(getattr(wrong, "__notes__", ()))
    return "\n".join(map(_told, parts)) + notes if parts else f"{wrong}\n{notes}"

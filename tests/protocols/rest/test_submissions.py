"""A JobRequest becomes a Submission, or is refused with a word on which field is wrong."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fallow.core.job import Chunking, Compare, Distinct, Homogeneous, ItemRange, Limits, VerifyMethod, VerifyPolicy
from fallow.core.refusals import Code, Refusal
from fallow.core.submission import Submission
from fallow.core.words import Contract, Engine, InputFormat, Label
from fallow.protocols.rest.jobs import JobRequest, RequirementsRequest
from fallow.protocols.rest.submissions import parse_verify, submission_of, verify_text
from fallow.protocols.rest.templates import with_template


def refused(**fields: object) -> Refusal:
    with pytest.raises(Refusal) as caught:
        submission_of(JobRequest.model_validate({"input_uri": "file:///in.jsonl"} | fields))
    return caught.value


def test_the_seeds_fields_alone_are_enough():
    seed = {
        "job_id": "job-1",
        "input_uri": "s3://bucket/in.jsonl",
        "output_uri": "s3://bucket/out/",
        "container_image": "my/model:1",
        "worker_label": "edge",
        "num_chunks": 8,
        "chunk_range": {"start": 0, "end": 99},
    }
    submission = submission_of(JobRequest.model_validate(seed))
    assert submission.job_id == "job-1"
    assert submission.image == "my/model:1"
    assert submission.requirements.label is Label.EDGE
    assert submission.chunking == Chunking(chunks=8)
    assert submission.range == ItemRange(0, 99)
    assert submission.contract is Contract.STREAM
    assert submission.limits == Limits()


def test_what_is_not_said_is_the_cores_default():
    assert submission_of(JobRequest(input_uri="x")) == Submission(input_uri="x")


def test_our_own_fields():
    request = JobRequest.model_validate(
        {
            "input_uri": "x",
            "input_format": "csv",
            "chunk_items": 10,
            "command": ["cat"],
            "engine": "process",
            "limits": {"item_timeout_seconds": 5},
            "verify": "quorum:2:json",
            "output_uri": "",
        }
    )
    submission = submission_of(request)
    assert submission.input_format is InputFormat.CSV
    assert submission.chunking == Chunking(items=10)
    assert submission.requirements.engine is Engine.PROCESS
    assert submission.limits.item_timeout_seconds == 5
    assert submission.verify == VerifyPolicy(VerifyMethod.QUORUM, 2, Compare.JSON)
    assert submission.output_uri is None


def test_who_may_answer_and_with_whom():
    request = JobRequest.model_validate(
        {
            "input_uri": "x",
            "verify": "quorum:2",
            "replication": {"adaptive": True, "homogeneous": "vendor", "distinct": "account"},
            "requirements": {"volunteers": True},
        }
    )
    submission = submission_of(request)
    assert submission.requirements.volunteers is True
    asked = VerifyPolicy(VerifyMethod.QUORUM, 2, adaptive=True)
    assert submission.verify == replace(asked, homogeneous=Homogeneous.VENDOR, distinct=Distinct.ACCOUNT)


@pytest.mark.parametrize(
    ("verify", "volunteers", "said", "distinct"),
    [
        ("quorum:2", True, {}, Distinct.ACCOUNT),
        ("quorum:2", True, {"distinct": "worker"}, Distinct.WORKER),
        ("quorum:2", False, {}, Distinct.WORKER),
        ("quorum:1", True, {}, Distinct.WORKER),
        ("hash", True, {}, Distinct.WORKER),
    ],
)
def test_among_strangers_nobody_agrees_with_himself_unless_the_job_says_so(verify, volunteers, said, distinct):
    asked = {
        "input_uri": "x",
        "verify": verify,
        "replication": said,
        "requirements": {"volunteers": volunteers},
    }
    assert submission_of(JobRequest.model_validate(asked)).verify.distinct is distinct


@pytest.mark.parametrize(
    "wrong", [{"homogeneous": "driver"}, {"distinct": "owner"}, {"adaptive": "perhaps"}, {"quorum": 2}]
)
def test_an_unknown_rule_between_answers_is_none(wrong):
    with pytest.raises(ValidationError):
        JobRequest.model_validate({"input_uri": "x", "replication": wrong})


def test_a_model_goes_to_volunteers_when_its_template_says_so():
    kept, given_away = {"container_image": "m:1"}, {"container_image": "m:1", "requirements": {"volunteers": True}}
    asked = {"input_uri": "x", "requirements": {"volunteers": True}}
    with pytest.raises(Refusal, match=r"requirements\.volunteers cannot be chosen beside a model"):
        with_template(kept, asked)
    assert with_template(given_away, asked).requirements.volunteers is True
    assert with_template(given_away, {"input_uri": "x", "requirements": {"volunteers": False}}).requirements == (
        RequirementsRequest()
    )


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("hash", VerifyPolicy()),
        ("quorum:1", VerifyPolicy(VerifyMethod.QUORUM, 1)),
        ("quorum:3:exact", VerifyPolicy(VerifyMethod.QUORUM, 3)),
        ("quorum:2:numeric", VerifyPolicy(VerifyMethod.QUORUM, 2, Compare.NUMERIC)),
        ("quorum:2:numeric:1e-3:0", VerifyPolicy(VerifyMethod.QUORUM, 2, Compare.NUMERIC, 1e-3, 0.0)),
    ],
)
def test_ways_to_verify(text, policy):
    assert parse_verify(text) == policy
    assert parse_verify(verify_text(policy)) == policy


@pytest.mark.parametrize(
    "text",
    [
        *("", "Hash", "hash:1", "quorum", "quorum:", "quorum:0", "quorum:101", "quorum:-1", "quorum:x", "quorum:²"),
        *("quorum:2:", "quorum:2:sloppy", "quorum:2:json:1:1", "quorum:2:numeric:1", "quorum:2:numeric:1:2:3"),
        *("quorum:2:numeric:nan:0", "quorum:2:numeric:inf:0", "quorum:2:numeric:-1:0", "quorum:99999999999"),
    ],
)
def test_what_is_no_way_to_verify(text):
    assert refused(verify=text).code is Code.BAD_REQUEST


@given(st.text(max_size=40))
def test_any_text_is_a_policy_or_a_refusal(text):
    try:
        policy = parse_verify(text)
    except Refusal:
        return
    assert policy.quorum >= 1


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"num_chunks": 10**30}, "num_chunks"),
        ({"requirements": {"cores": float("inf")}}, "requirements.cores"),
        ({"retention_seconds": 10**15}, "retention_seconds"),
        ({"name": "a\0b"}, "name"),
        ({"command": ["ok", "a\0b"]}, "command"),
        ({"env": {"A\0": "1"}}, "env"),
    ],
)
def test_a_refusal_names_the_field(fields, named):
    refusal = refused(**fields)
    assert refusal.code is Code.BAD_REQUEST
    assert refusal.details == {"field": named}
    assert named in refusal.message


def test_two_engines_are_one_too_many():
    assert refused(engine="podman", requirements={"engine": "docker"}).code is Code.BAD_REQUEST


@pytest.mark.parametrize(
    "uri", ["fallow:jobs/other/attempts/1/artifact", "FALLOW:blobs/x", "fallow:blobs/../jobs", "fallow:"]
)
def test_nobody_reads_or_writes_other_peoples_objects_in_our_store(uri):
    assert refused(input_uri=uri).code is Code.INPUT_NOT_ALLOWED
    assert refused(output_uri=uri).code is Code.OUTPUT_NOT_ALLOWED


def test_an_uploaded_input_may_be_named():
    uri = "fallow:blobs/" + "0" * 64
    assert submission_of(JobRequest(input_uri=uri)).input_uri == uri

"""What a lease must keep to where a job wants answers that are apart, and more answers where one is not trusted."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fallow.core.changes import Change, QueueAttempts
from fallow.core.job import Distinct, Homogeneous, JobSpec, VerifyMethod, VerifyPolicy
from fallow.core.refusals import Code, Refusal
from fallow.core.transition import next_changes
from fallow.core.words import ChunkId, Micros
from fallow.store.port import JobRow, Terms, Tx


def is_plain(spec: JobSpec) -> bool:
    """Whether any worker may lease any chunk of the job: nearly all jobs, which so keep their own short way."""
    verify = spec.verify
    return not verify.adaptive and verify.homogeneous is Homogeneous.NONE and verify.distinct is Distinct.WORKER


def check_replication(verify: VerifyPolicy) -> None:
    """Raises Refusal BAD_REQUEST where a rule on answers to one chunk stands beside a single answer."""
    if verify.method is VerifyMethod.QUORUM and verify.quorum > 1:
        return
    usual = VerifyPolicy()
    for name in ("adaptive", "homogeneous", "distinct"):
        if getattr(verify, name) != getattr(usual, name):
            raise Refusal(
                Code.BAD_REQUEST,
                f"{name} is a rule between several answers, and this job wants one.",
                "Ask for a quorum, such as quorum:2, or leave it out.",
                {"field": f"replication.{name}"},
            )


def terms_of(spec: JobSpec, account_id: str, classes: Mapping[Homogeneous, str]) -> Terms | None:
    """How the job's answers stay apart when a machine of this account and these classes takes some; None: it may take
    none, for its class is not known."""
    verify = spec.verify
    name = "" if verify.homogeneous is Homogeneous.NONE else classes.get(verify.homogeneous, "")
    if not name and verify.homogeneous is not Homogeneous.NONE:
        return None
    return Terms(name, account_id if verify.distinct is Distinct.ACCOUNT else "")


_DOUBTED = "the chunk went to a worker whose answer alone is not enough"


def want_quorum(tx: Tx, job: JobRow, chunk_ids: Sequence[ChunkId], now: Micros) -> None:
    """These chunks went to a worker whose word is not enough: from now on they want the quorum, and get the attempts
    for it at once, so that others need not wait for the first answer."""
    changes: list[Change] = []
    for case in tx.raise_answers(job.job_key, chunk_ids, job.spec.quorum):
        # What else there is to do is done where it always is; here nothing may end.
        more = (each for each in next_changes(case, job.spec.retry, now) if isinstance(each, QueueAttempts))
        changes += [replace(each, cause=_DOUBTED) for each in more]
    if changes:
        tx.apply(changes, now, "scheduler")

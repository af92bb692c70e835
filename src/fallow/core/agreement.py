"""Agreement: which answers to one chunk are the same, and whether enough are."""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from fallow.core.chunk import Attempt, Chunk
from fallow.core.job import Compare, JobSpec, VerifyPolicy
from fallow.core.words import AttemptId

Same = Callable[[Attempt, Attempt], bool]
Voice = Callable[[Attempt], object]


@dataclass(frozen=True, slots=True)
class Consensus:
    """canonical: None when no `quorum` answers agree. agreeing holds the canonical one too."""

    canonical: AttemptId | None
    agreeing: tuple[AttemptId, ...] = ()
    differing: tuple[AttemptId, ...] = ()


def answers_needed(chunk: Chunk, spec: JobSpec) -> int:
    """Answers that must agree on this chunk. With adaptive replication one is enough until a worker that is not trusted
    takes part: from then on answers_wanted is the quorum, or more, and the quorum is needed."""
    return needed_of(chunk.answers_wanted, spec)


def needed_of(answers_wanted: int, spec: JobSpec) -> int:
    """The same, where only what the chunk wanted is at hand."""
    return 1 if spec.verify.adaptive and answers_wanted == 1 else spec.quorum


def voices(answers: Sequence[Attempt], voice: Voice | None) -> int:
    """How many of the answers count: one for each voice. None: each has its own."""
    return len(answers) if voice is None else len({voice(answer) for answer in answers})


def consensus(answers: Sequence[Attempt], quorum: int, same: Same, voice: Voice | None = None) -> Consensus:
    """The first answer, oldest first, with which answers of `quorum` voices agree, its own included.

    Source: BOINC sched/validate_util2.cpp, generic_check_set(), with the whole quorum instead of half of it.
    """
    for candidate in answers:
        agreeing = [a for a in answers if a is candidate or same(candidate, a)]
        if voices(agreeing, voice) >= quorum:
            ids = tuple(a.attempt_id for a in agreeing)
            return Consensus(candidate.attempt_id, ids, tuple(a.attempt_id for a in answers if a.attempt_id not in ids))
    return Consensus(None)


def same_lines(first: Iterable[bytes], second: Iterable[bytes], policy: VerifyPolicy) -> bool:
    """Whether two artifacts say the same, line by line, in the policy's sense, and are of the same length."""
    return all(a is not None and b is not None and same_line(a, b, policy) for a, b in zip_longest(first, second))


def same_line(first: bytes, second: bytes, policy: VerifyPolicy) -> bool:
    """Whether two answers to one item say the same. Equal bytes always do; of unequal ones, what is not JSON, and a
    float beyond the doubles, agrees with nothing. Never raises."""
    if first == second:
        return True
    if policy.compare is Compare.EXACT:
        return False
    try:
        left, right = json.loads(first, parse_constant=_not_json), json.loads(second, parse_constant=_not_json)
        if policy.compare is Compare.JSON:
            return bool(_typed(left) == _typed(right))
        return _close(left, right, policy)
    except (ValueError, RecursionError):  # the recursion: a stranger's worker may nest as deep as it likes
        return False


def _not_json(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _typed(value: object) -> object:
    """JSON's own equality: true is not 1, and 1 is 1.0."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list):
        return [_typed(each) for each in value]
    if isinstance(value, dict):
        return {key: _typed(each) for key, each in value.items()}
    if isinstance(value, float) and math.isinf(value):
        return object()  # 1e400 and 1e999 were parsed to the same infinity, and are not the same
    return value


def _close(left: object, right: object, policy: VerifyPolicy) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return _near(left, right, policy)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_close(a, b, policy) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_close(left[key], right[key], policy) for key in left)
    return left == right


def _near(left: float, right: float, policy: VerifyPolicy) -> bool:
    try:
        if left == right:
            return not (isinstance(left, float) and math.isinf(left))
        return math.isclose(left, right, rel_tol=policy.rtol, abs_tol=policy.atol)
    except OverflowError:  # a whole number beyond the floats
        return False

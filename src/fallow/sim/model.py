"""The model that simulated images run: what each item says is what happens to it.

An item asks for "ok", "error" (the model answers with an error of its own), "crash" (the image exits, the worker knows
at which item), "swallow" (the image exits, and nobody knows at which item), "hang" (the item's time runs out) or "oom".
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from fallow.core.canonical import canonical_json
from fallow.core.words import FailureClass
from fallow.worker.answers import error_line


@dataclass(frozen=True, slots=True)
class Breakdown:
    """How a bad item ends a run. tells: the worker can name the item and has the answers before it."""

    failure_class: FailureClass
    code: str
    message: str
    tells: bool


BREAKDOWNS = {
    "crash": Breakdown(FailureClass.SUBMITTER, "exit_code", "The image ended with exit code 3.", True),
    "swallow": Breakdown(FailureClass.SUBMITTER, "exit_code", "The image ended with exit code 4.", False),
    "hang": Breakdown(FailureClass.LIMITS, "item_timeout", "The item was not done within 5 s.", True),
    "oom": Breakdown(FailureClass.LIMITS, "out_of_memory", "The image used more than 64 MiB of memory.", False),
}
BAD = frozenset(BREAKDOWNS)


@dataclass(frozen=True, slots=True)
class Run:
    """Answers up to the first item that broke the run; breakdown: None when none did."""

    answers: tuple[bytes, ...]
    breakdown: Breakdown | None = None


def asked_of(line: bytes) -> tuple[int, str]:
    """An item's number and wish, from the line that the image gets: {"n", "do"}, or {"text": "do n"}."""
    value = json.loads(line)
    if "text" in value:
        words = value["text"].split()
        return (int(words[1]), words[0]) if len(words) == 2 and words[1].isdigit() else (0, "ok")
    return int(value["n"]), str(value["do"])


def answer_to(n: int, do: str) -> bytes:
    """The honest answer to an item that is not bad."""
    if do == "error":
        return b'{"error":{"code":"unanswerable","message":"item %d has no answer"}}' % n
    return b'{"n":%d,"square":%d}' % (n, n * n)


def lie_to(n: int, liar: str) -> bytes:
    """What a liar says instead; no two liars say the same."""
    return b'{"n":%d,"square":"%b"}' % (n, liar.encode())


def run(lines: Sequence[bytes | None], refusals: Sequence[bytes]) -> Run:
    """The model over a chunk. lines: None where the worker refuses the item, whose answer is then in `refusals`."""
    answers: list[bytes] = []
    for line, refused in zip(lines, refusals, strict=True):
        if line is None:
            answers.append(refused)
            continue
        n, do = asked_of(line)
        if do in BAD:
            return Run(tuple(answers), BREAKDOWNS[do])
        answers.append(answer_to(n, do))
    return Run(tuple(answers))


def fault_line(code: str, message: str) -> bytes:
    """What stands in the output for an item that could not be done."""
    return canonical_json({"error": {"code": code, "message": message}})


def expected_line(n: int, do: str) -> bytes:
    """The line of an item in the finished output."""
    if do in BAD:
        return fault_line(BREAKDOWNS[do].code, BREAKDOWNS[do].message)
    if do == "garbled":
        return error_line("not_json", "The line is not JSON.")
    return answer_to(n, do)

"""The form of batch files: a translator that protocols/openai provides, so that no foreign word comes in here."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from fallow.core.batches import BatchRules, LineFault, Published
from fallow.core.submission import Submission
from fallow.core.words import JobState


class Checker(Protocol):
    """Looks at the lines of one file, in order."""

    @property
    def faults(self) -> Sequence[LineFault]:
        """What was wrong so far."""
        ...

    def take(self, line: bytes, number: int) -> bytes | None:
        """The item of this line, without a newline; None for a blank line, or one with a fault. number: from 1."""
        ...

    def finish(self) -> None:
        """The file has ended: what is wrong with it as a whole."""
        ...


class BatchForm(Protocol):
    """Bytes of the batch protocol to core values and back. No I/O."""

    def model_of(self, head: bytes) -> str:
        """The model that the first line of a file names; "" when it cannot be told."""
        ...

    def checker(self, rules: BatchRules) -> Checker: ...

    def submission(self, template: Mapping[str, object], options: Mapping[str, object]) -> Submission:
        """A model's template with what a batch asks for beside it. Raises Refusal."""
        ...

    def container(self, options: Mapping[str, object]) -> Submission:
        """A job of an image or a command that the batch itself names. Raises Refusal."""
        ...

    def answered(self, batch_id: str, item: int, request: bytes, answer: bytes, *, failed: bool) -> Published:
        """The line for an item that has an answer. failed: the answer is an error."""
        ...

    def unanswered(self, batch_id: str, item: int, request: bytes, ending: JobState) -> Published:
        """The line for an item that was never done, because its job ended so."""
        ...

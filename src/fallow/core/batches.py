"""Batches: what a batch file may hold, what is wrong with one, and what its answers have used."""

from dataclasses import dataclass

MIB = 1024 * 1024
CONTAINER = "/v1/x/container"  # the endpoint of batches that name their own image
LINE_BYTES_MAX = 16 * MIB  # of a request line; a batch is looked at before it is taken, and this much at most
FAULTS_MAX = 100  # that are kept of one file


@dataclass(frozen=True, slots=True)
class LineFault:
    """What is wrong with a batch file. line: from 1; None: the file as a whole. param: the member, if it is one."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class BatchRules:
    """What each line of a batch file must be.

    endpoint: the url that each has. model: the one that the first line names. named: whether lines must name a model.
    usable: whether there is something to run them; without it the file is refused whatever it holds.
    """

    endpoint: str
    model: str
    named: bool
    usable: bool
    lines_max: int
    size_bytes_max: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """What answers have used. cached is a part of input, reasoning a part of output."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    total: int = 0

    def plus(self, other: "Tokens") -> "Tokens":
        """Both together."""
        return Tokens(
            self.input + other.input,
            self.cached + other.cached,
            self.output + other.output,
            self.reasoning + other.reasoning,
            self.total + other.total,
        )


@dataclass(frozen=True, slots=True)
class Published:
    """A line of an output or error file, newline included. tokens: None where the answer says nothing of them."""

    line: bytes
    tokens: Tokens | None = None

"""Walking a batch file once: every line is checked, and the items come out. Memory: one line, a digest for each id."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict

from fallow.artifacts.locations import Source
from fallow.control.batch_form import BatchForm
from fallow.core.batches import FAULTS_MAX, LINE_BYTES_MAX, BatchRules, LineFault
from fallow.core.refusals import Code, Refusal

_BLOCK_BYTES = 256 * 1024
TOO_LONG = "line_too_long"


def checked_items(source: Source, rules: BatchRules, form: BatchForm) -> Iterator[bytes]:
    """The items as blocks of lines. Raises Refusal INPUT_FORMAT at the end, its details holding the faults."""
    size = source.head().size_bytes
    if size > rules.size_bytes_max:
        message = f"The file has {size} bytes, and a batch may have {rules.size_bytes_max}."
        raise refused([LineFault("file_too_large", message)])
    checker = form.checker(rules)
    extra: list[LineFault] = []
    held: list[bytes] = []
    held_bytes = 0
    for number, line in enumerate(bounded_lines(source.stream()), start=1):
        if line is None:
            extra.append(LineFault(TOO_LONG, f"The line is longer than {LINE_BYTES_MAX} bytes.", line=number))
            break
        item = checker.take(line, number)
        if item is not None and not checker.faults:
            held += (item, b"\n")
            held_bytes += len(item) + 1
            if held_bytes >= _BLOCK_BYTES:
                yield b"".join(held)
                held, held_bytes = [], 0
        if len(checker.faults) >= FAULTS_MAX:
            break
    else:
        checker.finish()
    faults = [*checker.faults, *extra][:FAULTS_MAX]
    if faults:
        raise refused(faults)
    if held:
        yield b"".join(held)


def bounded_lines(pieces: Iterable[bytes], line_bytes_max: int = LINE_BYTES_MAX) -> Iterator[bytes | None]:
    """The lines, without their newlines; None, and nothing after it, for one that is too long to be held."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            held.append(piece[start:end])
            size += end - start
            if size > line_bytes_max:
                yield None
                return
            yield b"".join(held)
            held, size, start = [], 0, end + 1
        if start < len(piece):
            held.append(piece[start:])
            size += len(piece) - start
        if size > line_bytes_max:
            yield None
            return
    if held:
        yield b"".join(held)


def refused(faults: list[LineFault]) -> Refusal:
    """The file as a whole, with all that is wrong with it."""
    first = faults[0]
    where = f"Line {first.line}: " if first.line is not None else ""
    more = f" There are {len(faults) - 1} more." if len(faults) > 1 else ""
    return Refusal(
        Code.INPUT_FORMAT,
        f"{where}{first.message}{more}",
        "Correct the file and send it again.",
        {"faults": [asdict(each) for each in faults]},
    )


def faults_of(refusal: Refusal) -> list[dict[str, object]]:
    """What to keep of a refused file: its faults, or the refusal itself where something else was wrong."""
    found = refusal.details.get("faults")
    if isinstance(found, list):
        return found
    return [asdict(LineFault(str(refusal.code), str(refusal)))]

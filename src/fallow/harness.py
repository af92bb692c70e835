"""Runs a Python function over a stream of items. One file, standard library only: copy it into an image.

    from harness import serve            # first: it sets the thread limits that libraries read when imported

    def answer(items):                   # a list of parsed JSON values
        return [{"length": len(item["text"])} for item in items]    # one JSON value for each, in order

    serve(answer, batch=32)

stdin: one JSON line per item. stdout: one JSON line per item, same order, flushed after each batch. Whatever the model
itself prints goes to stderr. An item that cannot be done is answered {"error": {"code", "message"}} in its place.

Plain mode: every line of stdin is an item, until the end of stdin.

Harness mode (FALLOW_HARNESS=1, set by the worker when the image has the label io.fallow.harness=1): the model is loaded
once, and each chunk runs in a forked child that starts from the same clean memory and is gone afterwards.

    harness -> {"$fallow":"ready"}                      once, after load()
    worker  -> {"$fallow":"chunk","job_id":"j","chunk_id":7,"start":70,"end":79,"count":10}, then 10 item lines
    harness -> 10 answer lines, then {"$fallow":"done","chunk_id":7}
    worker  -> the next chunk, or the end of stdin

An item that kills its child (a segmentation fault, os._exit) is found by running the items of its batch alone, each in
a fresh child; it is answered with the code "crashed" and the others go on. A child that was killed from outside is
never blamed on an item: the harness then ends as the child did (137 for the out-of-memory killer).
"""

from __future__ import annotations

import collections
import gc
import json
import os
import re
import select
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Function = Callable[[list[Any]], Iterable[Any]]
    Write = Callable[[bytes], None]

# A fork copies one thread only, so a pool that was started before it would be waited for in vain. One thread each.
for _name in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "VECLIB_MAXIMUM", "RAYON"):
    os.environ.setdefault(_name + "_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

BLOCK_BYTES = 1 << 16
CHILD_POLL_MS = 50  # a grandchild can keep the pipe open after the child has died, so its end is looked for too
MESSAGE_MAX = 500  # characters
OUT_OF_MEMORY = 137  # 128 + SIGKILL, as a shell would say it
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_stream: list[int] = []  # the descriptors of the stream, which are the parent's alone


def serve(function: Function, batch: int = 32, load: Callable[[], Any] | None = None, fork: bool = True) -> None:
    """Answers items until stdin ends. Returns then; ends the process when it must not go on.

    function: gets at most `batch` parsed items, returns one JSON-able answer for each, in order.
    load: called once before the first item, for what is slow: importing, reading weights.
    fork: False keeps all chunks in this process. Needed by models on a GPU, whose driver does not survive a fork;
    such a model must not keep anything from one chunk to the next.
    """
    if batch < 1:
        raise ValueError("batch must be at least 1")
    lines, write = _take_over_stdio()
    if load is not None:
        load()
    if os.environ.get("FALLOW_HARNESS") == "1":
        _serve_chunks(function, batch, lines, write, fork)
    else:
        _serve_plain(function, batch, lines, write)


def error(code: str, message: str) -> dict[str, Any]:
    """An answer that says why an item has none."""
    return {"error": {"code": code, "message": message}}


# ---- the two modes


def _serve_plain(function: Function, batch: int, lines: _Lines, write: Write) -> None:
    while True:
        some = lines.take(batch)
        if not some:
            return
        try:
            write(_answer_lines(function, some))
        except MemoryError:
            _end(OUT_OF_MEMORY, "harness: out of memory")


def _serve_chunks(function: Function, batch: int, lines: _Lines, write: Write, fork: bool) -> None:
    _warn_of_threads(fork)
    gc.collect()
    gc.freeze()  # what load() made is not written to by the children's collector, so its pages stay shared
    write(_line({"$fallow": "ready"}))
    while True:
        head = lines.take(1)
        if not head:
            return
        chunk = _chunk_of(head[0])
        items = _read_items(lines, chunk["count"])
        if fork:
            _forked_chunk(function, items, batch, write, _environment(chunk))
        else:
            os.environ.update(_environment(chunk))
            _chunk_here(function, items, batch, write)
        write(_line({"$fallow": "done", "chunk_id": chunk.get("chunk_id")}))


def _chunk_of(line: bytes) -> dict[str, Any]:
    """The control line before a chunk. Ends the process when it is something else: the stream cannot be followed."""
    try:
        chunk = json.loads(line)
        good = chunk["$fallow"] == "chunk" and type(chunk["count"]) is int and chunk["count"] >= 0
    except (ValueError, TypeError, KeyError):
        good = False
    if not good:
        _end(2, "harness: expected a chunk line from the worker, got " + repr(line[:200]))
    return chunk  # type: ignore[no-any-return]


def _read_items(lines: _Lines, count: int) -> list[bytes]:
    """All lines of a chunk. They are read before the first is answered, so that a worker which writes everything
    before it reads anything is not waited for in vain."""
    items: list[bytes] = []
    while len(items) < count:
        more = lines.take(count - len(items))
        if not more:
            _end(1, f"harness: the input ended after {len(items)} of {count} items")
        items += more
    return items


def _environment(chunk: dict[str, Any]) -> dict[str, str]:
    names = {"job_id": "AI_JOB_ID", "chunk_id": "AI_CHUNK_ID", "start": "AI_RANGE_START", "end": "AI_RANGE_END"}
    return {names[key]: str(chunk[key]) for key in names if key in chunk}


def _warn_of_threads(fork: bool) -> None:
    try:
        threads = len(os.listdir("/proc/self/task"))
    except OSError:
        return  # no /proc: nothing to count
    if fork and threads > 1:
        print(f"harness: {threads} threads run after load(); a forked child has only one of them", file=sys.stderr)


# ---- a chunk, in children


def _chunk_here(function: Function, items: list[bytes], batch: int, write: Write) -> None:
    for start in range(0, len(items), batch):
        try:
            write(_answer_lines(function, items[start : start + batch]))
        except MemoryError:
            _end(OUT_OF_MEMORY, "harness: out of memory")


def _forked_chunk(function: Function, items: list[bytes], batch: int, write: Write, environ: dict[str, str]) -> None:
    """Answers every item. A batch that killed its child is done again, item by item, each in a child of its own."""
    done = 0
    while done < len(items):
        answered, status = _in_child(function, items[done:], batch, write, environ)
        done += answered
        if done == len(items):
            return
        _end_if_killed(status)
        batch_end = min(len(items), (done // batch + 1) * batch)
        for item in items[done:batch_end]:
            answered, status = _in_child(function, [item], 1, write, environ)
            if not answered:
                _end_if_killed(status)
                write(_line(error("crashed", f"the model process ended with {_how(status)} on this item")))
        done = batch_end


def _in_child(
    function: Function, items: list[bytes], batch: int, write: Write, environ: dict[str, str]
) -> tuple[int, int]:
    """Forks a child that answers `items` in batches, and passes its whole lines on. Returns how many came, and how the
    child ended (as os.waitpid says it)."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_child(function, items, batch, _writer(writer), environ)
    os.close(writer)
    answered, status = _pass_on(reader, child, len(items), write)
    os.close(reader)
    return answered, os.waitpid(child, 0)[1] if status is None else status


def _pass_on(reader: int, child: int, count: int, write: Write) -> tuple[int, int | None]:
    """Copies whole lines from the child until all have come or it has ended. status: None when it was not asked for."""
    answered, status, tail = 0, None, bytearray()
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    while answered < count:
        if poll.poll(CHILD_POLL_MS if status is None else 0):
            block = os.read(reader, BLOCK_BYTES)
            if not block:
                break
            cut = block.rfind(b"\n") + 1
            if cut:
                write(bytes(tail) + block[:cut])
                answered += block.count(b"\n")
                tail = bytearray()
            tail += block[cut:]
        elif status is not None:
            break
        else:
            ended, how = os.waitpid(child, os.WNOHANG)
            status = how if ended else None
    return answered, status


def _be_child(function: Function, items: list[bytes], batch: int, write: Write, environ: dict[str, str]) -> None:
    """The child's whole life. Never returns: what the parent registered to run at its exit is the parent's."""
    code = 1
    try:
        while _stream:
            os.close(_stream.pop())
        os.environ.update(environ)
        for start in range(0, len(items), batch):
            write(_answer_lines(function, items[start : start + batch]))
        code = 0
    except MemoryError:
        code = OUT_OF_MEMORY
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - the log has it, and the parent sees the exit code
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code & 0xFF)


def _end_if_killed(status: int) -> None:
    """Ends as the child did when somebody else ended it: no item is to blame for that."""
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in FROM_OUTSIDE:
        _end(128 + os.WTERMSIG(status), f"harness: the model process was killed ({_how(status)})")
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == OUT_OF_MEMORY:
        _end(OUT_OF_MEMORY, "harness: the model process ran out of memory")


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"exit code {os.WEXITSTATUS(status)}"


def _end(code: int, message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(code)


# ---- items and answers


def _answer_lines(function: Function, lines: list[bytes]) -> bytes:
    """One answer line per item line."""
    items: list[Any] = []
    answers: list[bytes | None] = []
    for line in lines:
        try:
            items.append(json.loads(line.decode("utf-8"), parse_constant=_not_a_number))
            answers.append(None)
        except UnicodeDecodeError:
            answers.append(_line(error("not_utf8", "The line is not UTF-8.")))
        except (ValueError, RecursionError):
            answers.append(_line(error("not_json", "The line is not JSON.")))
    made = iter(_answers(function, items))
    return b"".join(next(made) if answer is None else answer for answer in answers)


def _answers(function: Function, items: list[Any]) -> list[bytes]:
    """One line per item. A batch that fails is done again item by item, so that only the guilty one has no answer."""
    if not items:
        return []
    try:
        answers = _checked(function(items), len(items))
    except MemoryError:
        if len(items) == 1:
            raise
        return [line for item in items for line in _answers(function, [item])]
    except Exception as problem:  # noqa: BLE001 - any fault of the model is answered in the item's place
        if len(items) == 1:
            if not isinstance(problem, _WrongCount):
                traceback.print_exc()
            return [_line(_error_of(problem))]
        return [line for item in items for line in _answers(function, [item])]
    return [_answer_line(answer) for answer in answers]


class _WrongCount(Exception):
    """The function returned something else than one answer per item."""


def _checked(answers: Any, count: int) -> list[Any]:
    if answers is None or isinstance(answers, (str, bytes, dict)):
        raise _WrongCount(f"the function must return a list of answers, not {type(answers).__name__}")
    answers = list(answers)
    if len(answers) != count:
        raise _WrongCount(f"the function returned {len(answers)} answers for {count} items")
    return answers  # type: ignore[no-any-return]


def _answer_line(answer: Any) -> bytes:
    try:
        line = _line(answer)
    except (TypeError, ValueError, RecursionError) as problem:
        return _line(error("not_json", "The answer is not JSON: " + _clean(str(problem))))
    # The same JSON with a space, so that no answer is taken for a control line.
    return b"{ " + line[1:] if line.startswith(b'{"$fallow"') else line


def _error_of(problem: Exception) -> dict[str, Any]:
    if isinstance(problem, _WrongCount):
        return error("wrong_count", str(problem))
    return error("exception", _clean(f"{type(problem).__name__}: {problem}"))


def _clean(message: str) -> str:
    """The same text for the same fault: memory addresses differ from run to run."""
    message = message.encode("utf-8", "backslashreplace").decode("utf-8")
    return _ADDRESS.sub("0x...", message)[:MESSAGE_MAX]


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8") + b"\n"


def _not_a_number(name: str) -> None:
    raise ValueError(name + " is not JSON")


# ---- stdin and stdout


def _take_over_stdio() -> tuple[_Lines, Write]:
    """Keeps stdin and stdout for the stream alone: the model reads nothing there, and its prints go to stderr."""
    source, sink = os.dup(0), os.dup(1)
    _stream[:] = [source, sink]
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout.flush()
    os.dup2(2, 1)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    return _Lines(source), _writer(sink)


def _writer(fd: int) -> Write:
    def write(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    return write


class _Lines:
    """The lines of a file descriptor, without their line feeds; a last line without one counts."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._ready: collections.deque[bytes] = collections.deque()
        self._tail = bytearray()

    def take(self, most: int) -> list[bytes]:
        """1 to `most` lines: those that are there, after waiting for the first. Empty at the end."""
        while not self._ready:
            block = os.read(self._fd, BLOCK_BYTES)
            if not block:
                last, self._tail = bytes(self._tail), bytearray()
                return [last] if last else []
            *whole, rest = block.split(b"\n")
            for line in whole:
                self._ready.append(bytes(self._tail) + line)
                self._tail = bytearray()
            self._tail += rest
        return [self._ready.popleft() for _ in range(min(most, len(self._ready)))]

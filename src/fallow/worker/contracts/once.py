"""Runs a container to its end, without feeding it: what the files and direct contracts have in common."""

import os
import shutil
import time
from pathlib import Path

from fallow.worker.contracts.contract import Work
from fallow.worker.contracts.endings import ending_fault, stopped_fault
from fallow.worker.contracts.pipes import Pipes
from fallow.worker.engines.engine import EngineBroken, Mount, Network, Running
from fallow.worker.faults import Fault, bytes_said, of_limits, seconds_said, workers

STEP_SECONDS = 0.1
WEIGH_SECONDS = 0.2  # between looks at the size of /out
BACKSTOP_SECONDS = 120.0


def run_once(work: Work, env: dict[str, str], mounts: tuple[Mount, ...], network: Network, out: Path) -> Fault | None:
    """None when the program ended with exit code 0. stdout and stderr both go into the log.

    `out` is watched: when it outgrows the job's limit the container is ended.
    """
    limits = work.assignment.limits
    run_dir = work.shelf.run_dir()
    try:
        spec = work.container(run_dir, env, mounts, network, limits.chunk_timeout_seconds + BACKSTOP_SECONDS)
        running = work.engine.start(spec)
    except EngineBroken as broken:
        shutil.rmtree(run_dir, ignore_errors=True)
        return workers("engine_error", str(broken))
    pipes = Pipes(running, limits.item_output_bytes)
    try:
        pipes.listen(work.log)
        pipes.end_input()
        return _watch(work, running, pipes, out)
    finally:
        work.usage = running.usage()
        pipes.close()
        running.close()
        shutil.rmtree(run_dir, ignore_errors=True)


def inner(work: Work, path: Path, target: str) -> str:
    """The path as the program sees it: the mount's target in a container, the machine's own path without one."""
    return target if work.engine.isolates else str(path)


def only_item(work: Work) -> int | None:
    """The item to blame when the chunk has one; else it is not known."""
    return work.assignment.item_start if work.assignment.item_count == 1 else None


def size_of(directory: Path) -> int:
    """Bytes of all files below, as the disk counts them. Links are not followed; what vanishes meanwhile counts 0."""
    total = 0
    for root, _, names in os.walk(directory):
        for name in names:
            try:
                status = os.lstat(os.path.join(root, name))
            except FileNotFoundError:
                continue
            total += min(status.st_size, status.st_blocks * 512)
    return total


def _watch(work: Work, running: Running, pipes: Pipes, out: Path) -> Fault | None:
    limits = work.assignment.limits
    now = work.control.hold.now
    began = weighed = now()
    while not pipes.out_ended and not running.poll():
        for line in pipes.step(STEP_SECONDS):
            work.log.write(line + b"\n")
        moment = now()
        if work.control.stopped:
            return stopped_fault(work)
        if limits.item_timeout_seconds is not None and work.assignment.item_count == 1:
            fault = _timeout(moment - began, "item", limits.item_timeout_seconds + limits.start_timeout_seconds, work)
            if fault:
                return fault
        if fault := _timeout(moment - began, "chunk", limits.chunk_timeout_seconds, work):
            return fault
        if moment - weighed > WEIGH_SECONDS:
            weighed = moment
            running.usage()
            if size_of(out) > limits.output_bytes:
                return too_much(work)
        if pipes.overlong:
            pipes.overlong = False
            work.log.write(pipes.last_words() + b"\n")
    return _end(work, running, pipes)


def too_much(work: Work) -> Fault:
    said = bytes_said(work.assignment.limits.output_bytes)
    return of_limits(
        "output_too_large", f"The output is larger than the limit of {said} for one chunk.", only_item(work)
    )


def _timeout(seconds: float, what: str, most: float, work: Work) -> Fault | None:
    """The item's start time is forgiven, and not named: the limit is what the submitter wrote."""
    if seconds <= most:
        return None
    limits = work.assignment.limits
    named = limits.item_timeout_seconds if what == "item" else limits.chunk_timeout_seconds
    said = seconds_said(named or 0.0)
    return of_limits(f"{what}_timeout", f"The {what} took longer than the {what} timeout of {said}.", only_item(work))


def _end(work: Work, running: Running, pipes: Pipes) -> Fault | None:
    """What is left in the pipes, then how it ended. A program may close its output long before it ends."""
    until = time.monotonic() + 1.0
    while not (pipes.out_ended and pipes.err_ended) and (time.monotonic() < until or not running.poll()):
        for line in pipes.step(STEP_SECONDS):
            work.log.write(line + b"\n")
        if work.control.stopped:
            return stopped_fault(work)
    work.log.write(pipes.last_words())
    began = work.control.hold.now()
    while (outcome := running.wait(STEP_SECONDS)) is None:
        if work.control.stopped:
            return stopped_fault(work)
        if work.control.hold.now() - began > work.assignment.limits.chunk_timeout_seconds:
            return _timeout(float("inf"), "chunk", 0.0, work)
    return ending_fault(work, outcome, only_item(work))

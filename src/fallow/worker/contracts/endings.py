"""What a container's end means, and whose fault it is. The same for every contract."""

from fallow.worker.contracts.contract import Work
from fallow.worker.engines.engine import End, Outcome
from fallow.worker.faults import Fault, aborted, bytes_said, of_limits, submitters, workers

KILLED = 137


def ending_fault(work: Work, outcome: Outcome, item: int | None) -> Fault | None:
    """None: it ended by itself with exit code 0. item: the one to blame, if known.

    A harness ends with 137 by itself when the machine killed one of its children: that is memory, not the item.
    """
    killed_child = work.assignment.harness and outcome.exit_code == KILLED and outcome.end is End.EXITED
    if outcome.end is End.OUT_OF_MEMORY or killed_child:
        return out_of_memory(work, item)
    if outcome.end is End.ENGINE_ERROR:
        return workers("engine_error", outcome.message or "The container engine failed.")
    if outcome.end is End.KILLED:
        return aborted(work.control.reason or "The attempt was stopped.")
    if outcome.exit_code:
        code = outcome.exit_code
        return submitters("exit_code", f"The program ended with exit code {code}.", item, code)
    return None


def out_of_memory(work: Work, item: int | None) -> Fault:
    """The job's own limit is the job's matter; without one the worker is too small."""
    stated, ceiling = work.assignment.limits.memory_bytes, work.ceiling.memory_bytes
    if stated is not None and (ceiling is None or stated <= ceiling):
        said = bytes_said(stated)
        return of_limits("out_of_memory", f"The program used more than its memory limit of {said}.", item)
    return workers("out_of_memory", "The worker has too little memory for the program.")


def stopped_fault(work: Work) -> Fault:
    return aborted(work.control.reason)

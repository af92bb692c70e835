"""What a finished job is said to be: counts, the commonest errors, where the output is; and the exit code."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from fallow.cli.showing import many, note, one_line, show_json
from fallow.sdk.rates import lasting

if TYPE_CHECKING:
    from fallow.sdk.client import Client
    from fallow.sdk.messages import JobDetail

EXIT_COMPLETED, EXIT_FAILED, EXIT_WITH_ERRORS = 0, 1, 3
_TOP = 5
_LOG_LINES = 20
_LINES_READ_MAX = 100_000


def exit_code(detail: "JobDetail") -> int:
    """0 completed, 1 failed, cancelled or expired, 3 completed with error lines."""
    if detail.state != "completed":
        return EXIT_FAILED
    return EXIT_WITH_ERRORS if detail.progress.error_items else EXIT_COMPLETED


def top_errors(lines: Iterable[bytes]) -> list[tuple[str, str, int]]:
    """(code, message, how often) of the commonest errors among lines of errors.jsonl, most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    for number, line in enumerate(lines):
        if number >= _LINES_READ_MAX:
            break
        body: dict[str, Any] = json.loads(line)
        counts[str(body.get("code", "")), str(body.get("message", ""))] += 1
    return [(code, message, count) for (code, message), count in counts.most_common(_TOP)]


def show_last_log(client: "Client", job_id: str) -> None:
    """On stderr, the last words of the newest attempt that failed: most often they say why."""
    failed = [each for each in client.attempts(job_id) if each.log_tail.strip()]
    if failed:
        note(f"the last of attempt {failed[-1].attempt_id}'s log:")
        for line in failed[-1].log_tail.strip().splitlines()[-_LOG_LINES:]:
            note(f"  | {one_line(line)}")


def show_summary(
    detail: "JobDetail",
    errors: list[tuple[str, str, int]],
    seconds: float,
    done: int,
    output: str | None,
    as_json: bool,
) -> None:
    """On stdout; when the job failed, its reason on stderr. done: items that these seconds were spent on."""
    progress = detail.progress
    if as_json:
        show_json(
            {
                "job_id": detail.job_id,
                "state": detail.state,
                "reason": detail.reason,
                "items": progress.total_items,
                "error_items": progress.error_items,
                "errors": [{"code": code, "message": text, "count": count} for code, text, count in errors],
                "seconds": round(seconds, 3),
                "items_per_second": round(done / seconds, 3) if seconds > 0 else None,
                "output": output,
            }
        )
        return
    rate = f", {done / seconds:,.1f} items/s" if seconds > 0 and done else ""
    counted = f"{many(progress.total_items, 'item')}, {many(progress.error_items, 'error line')}"
    typer.echo(f"job {detail.job_id} {detail.state}: {counted} in {lasting(seconds)}{rate}")
    for code, message, count in errors:
        typer.echo(f"  {count:,} x [{one_line(code)}] {one_line(message)}")
    if detail.state != "completed" and detail.reason:
        note(f"reason: {one_line(detail.reason)}")
    if detail.state == "completed" and output:
        typer.echo(f"output: {output}")
        if "://" not in output:
            typer.echo(f"verify with: fallow verify {output}")

"""Jobs and results as HTML for notebooks. Every text is escaped: names, errors and answers come from strangers."""

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from fallow.protocols.rest.jobs import JobDetail, JobSummary

_TEXT_MAX = 200  # of one cell; the whole is one call away


def job_html(detail: JobDetail) -> str:
    """One job: a bar, and what is known of it."""
    facts = {
        "job": detail.job_id,
        "name": detail.name,
        "state": detail.state,
        "image": detail.container_image or "",
        "input": detail.input_uri,
        "errors": str(detail.progress.error_items) if detail.progress.error_items else "",
        "reason": detail.reason,
        "waits": "; ".join(detail.why_waiting),
    }
    return progress_html(detail) + table_html(("", ""), ([name, said] for name, said in facts.items() if said))


def progress_html(job: JobSummary, said: str = "") -> str:
    """A bar with words."""
    progress = job.progress
    done = progress.completed_items + progress.error_items
    words = f"{job.state}: {done:,} of {progress.total_items:,} items" + (f", {said}" if said else "")
    bar = f'<progress max="{max(progress.total_items, 1)}" value="{done}" aria-label="{escape(job.job_id)}"></progress>'
    return f"<div>{bar} {escape(words)}</div>"


def jobs_html(jobs: Iterable[JobSummary]) -> str:
    """A table of jobs."""
    rows = (
        [each.job_id, each.name, each.state, f"{_done(each):,} of {_total(each):,}", each.created_at] for each in jobs
    )
    return table_html(("job", "name", "state", "items", "created"), rows)


def results_html(rows: Iterable[tuple[int, Any]]) -> str:
    """A table of answers."""
    lines = ([str(item), json.dumps(output, ensure_ascii=False)] for item, output in rows)
    return table_html(("item", "output"), lines)


def table_html(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A plain table; each text is escaped and cut where it is long."""
    head = "".join(f"<th>{escape(each)}</th>" for each in heads) if any(heads) else ""
    body = "".join("<tr>" + "".join(f"<td>{_cell(each)}</td>" for each in row) + "</tr>" for row in rows)
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"


def _cell(text: str) -> str:
    return escape(text if len(text) <= _TEXT_MAX else text[:_TEXT_MAX] + "…")


def _done(job: JobSummary) -> int:
    return job.progress.completed_items + job.progress.error_items


def _total(job: JobSummary) -> int:
    return job.progress.total_items

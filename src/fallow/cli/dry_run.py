"""What a job would be, for a terminal."""

from typing import TYPE_CHECKING

import typer

from fallow.cli.showing import many, note, show_json

if TYPE_CHECKING:
    from fallow.sdk.messages import BandView, EstimateView


def show_estimate(found: "EstimateView", as_json: bool) -> None:
    """Prints it; the first items are shown only as JSON, where nothing of them can move a terminal's cursor."""
    if as_json:
        show_json(found)
        return
    if found.items is not None and found.plan is not None:
        about = "" if found.plan.exact else "about "
        typer.echo(f"{about}{many(found.items.items, 'item')} in {about}{many(found.plan.chunks, 'chunk')}")
    if found.bad_items:
        typer.echo(f"{found.bad_items} of the first {many(found.looked_at, 'item')} cannot be sent")
    workers = sum(not fit.why_not for fit in found.fits)
    typer.echo(f"{many(workers, 'worker')} with {many(found.slots_fitting, 'slot')} could take it now")
    for why in found.why_waiting:
        typer.echo(f"  {why}")
    if found.estimate is None:
        typer.echo("no history: what it runs has not run there yet")
    else:
        if found.estimate.seconds is not None:
            typer.echo(f"time: {_said(found.estimate.seconds)} on {many(found.estimate.slots, 'slot')}")
        typer.echo(f"work: {_said(found.estimate.slot_seconds)} of slots together")
    note("Nothing was created.")


def _said(band: "BandView") -> str:
    return f"about {_time(band.likely)} ({_time(band.low)} to {_time(band.high)})"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"

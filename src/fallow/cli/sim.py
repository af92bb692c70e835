"""fallow sim: replays seeds of the simulated fleet."""

from typing import Annotated

import typer

from fallow.cli.options import examples, seconds


def register(app: typer.Typer) -> None:
    app.command(epilog=examples("fallow sim --seed 42", "fallow sim --for 60s"))(sim)


def sim(
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Chooses times, order, ids and faults.")] = 0,
    count: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="A batch of so many seeds, from this one on.")
    ] = None,
    lasting: Annotated[str | None, typer.Option("--for", metavar="TIME", help="A batch of as many as fit.")] = None,
) -> None:
    """Run the simulated fleet with its faults. The same seed always does the same.

    Exits 1 when an invariant broke. A batch also counts which rows of the transition tables were used.
    """
    from fallow.sim import replay, run_batch

    if count is None and lasting is None:
        played = replay(seed)
        typer.echo(str(played))
        broken = played.failure is not None
    else:
        batch = run_batch(count=count, seconds=seconds(lasting), first_seed=seed)
        typer.echo(str(batch))
        broken = bool(batch.failures)
    if broken:
        raise typer.Exit(1)

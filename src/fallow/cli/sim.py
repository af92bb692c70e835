"""fallow sim: replays seeds of the simulated fleet."""

from typing import Annotated

import typer

from fallow.cli.options import examples


def register(app: typer.Typer) -> None:
    app.command(epilog=examples("fallow sim --seed 42"))(sim)


def sim(
    seed: Annotated[int, typer.Option(metavar="N", help="Chooses times, order, ids and faults.")] = 0,
    count: Annotated[int, typer.Option(min=1, metavar="N", help="How many seeds, from this one on.")] = 1,
) -> None:
    """Run the simulated fleet with its faults; exits 1 when an invariant broke. A seed always does the same."""
    from fallow.sim.replay import replay

    raise typer.Exit(replay(seed, count))

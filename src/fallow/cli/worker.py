"""fallow worker: this machine joins."""

import os
import socket
import threading
from pathlib import Path
from typing import Annotated, Literal

import typer

from fallow.cli.options import examples, seconds, size_bytes
from fallow.core.refusals import Code, Refusal


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "fallow worker --server https://fallow.example --token KEY --label edge",
            "FALLOW_SERVER=http://10.0.0.5:8420 FALLOW_TOKEN=KEY fallow worker --slots 2",
        )
    )(worker)


def worker(
    server: Annotated[
        str, typer.Option(envvar="FALLOW_SERVER", metavar="URL", help="The server's URL.", show_default=False)
    ] = "",
    token: Annotated[
        str, typer.Option(envvar="FALLOW_TOKEN", metavar="KEY", help="A key with the scope work.", show_default=False)
    ] = "",
    label: Annotated[
        Literal["edge", "on_prem", "cloud"] | None, typer.Option(help="What kind of machine it is.")
    ] = None,
    engine: Annotated[
        Literal["podman", "docker", "process"] | None, typer.Option(help="Default: the first that works.")
    ] = None,
    data_dir: Annotated[Path, typer.Option(metavar="DIR", help="Its key, images and unfinished reports.")] = Path(
        "fallow-worker"
    ),
    slots: Annotated[int, typer.Option(min=0, metavar="N", help="Chunks at once. 0: one for two cores.")] = 0,
    name: Annotated[str, typer.Option(metavar="TEXT", help="A name for people. Default: the host's.")] = "",
    allow_process: Annotated[
        bool, typer.Option("--allow-process", help="Also run bare commands: trust whoever submits.")
    ] = False,
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="What all slots may use together.")] = None,
    cpus: Annotated[float | None, typer.Option(metavar="N", help="Cores that all slots may use together.")] = None,
    drain: Annotated[str, typer.Option(metavar="TIME", help="How long running chunks may finish at a stop.")] = "5m",
    flavour: Annotated[str, typer.Option(hidden=True)] = "",
    stop_with_stdin: Annotated[bool, typer.Option("--stop-with-stdin", hidden=True)] = False,
) -> None:
    """Join this machine: run chunks until stopped. Ctrl-C or SIGTERM lets running chunks finish; a second does not."""
    from fallow.core.words import Engine, Label
    from fallow.worker.agent import run_agent, stop_on_signals
    from fallow.worker.engines.oci_engine import flavour_of
    from fallow.worker.options import AgentOptions

    if not server:
        raise Refusal(Code.SETTING_INVALID, "No server is named.", "Give --server URL or set FALLOW_SERVER.")
    options = AgentOptions(
        server=server,
        data_dir=data_dir,
        token=token,
        label=Label(label) if label else None,
        engine=Engine(engine) if engine else None,
        slots=slots,
        name=name or socket.gethostname(),
        allow_process=allow_process,
        memory_bytes=size_bytes(memory),
        cpus=cpus,
        drain_seconds=seconds(drain) or 0.0,
        flavour=flavour_of(flavour) if flavour else None,
    )
    stop, abort = stop_on_signals()
    if stop_with_stdin:
        threading.Thread(target=_watch_parent, args=(stop, abort), daemon=True).start()
    raise typer.Exit(run_agent(options, stop, abort))


def _watch_parent(stop: threading.Event, abort: threading.Event) -> None:
    """The end of stdin is the end of whoever started us, even when it was killed."""
    while os.read(0, 4096):  # not sys.stdin: its lock would be held while the interpreter ends
        pass
    stop.set()
    abort.set()

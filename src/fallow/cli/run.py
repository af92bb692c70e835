"""fallow run: server, workers and one job in one command, on this machine."""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fallow.cli.fleet import Fleet, FleetPlan, slots_of
from fallow.cli.job_options import JobOptions, check_what_runs, quorum_of, request_fields, with_job_options
from fallow.cli.options import AsJson, examples
from fallow.cli.progress import ProgressShown
from fallow.cli.showing import note
from fallow.cli.summary import exit_code, show_last_log, show_summary, top_errors
from fallow.core.refusals import Code, Refusal

if TYPE_CHECKING:
    from fallow.sdk.client import Client
    from fallow.sdk.messages import JobDetail

EXIT_INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "fallow run reviews.jsonl --image my/model:1 --output out/",
            "fallow run reviews.jsonl --image my/model:1 --output out/ --workers 3 --verify quorum:2:json",
            "fallow run in.jsonl --engine process --allow-process --output out/ -- python3 model.py",
        )
    )(with_job_options(run))


def run(
    input: Annotated[
        str, typer.Argument(metavar="INPUT", help="A file, a directory whose files are the items, or a URI.")
    ],
    options: JobOptions,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where output.jsonl, errors.jsonl, manifest.json go.")],
    workers: Annotated[
        int | None, typer.Option(min=1, max=1024, metavar="N", help="Worker processes. Default: the quorum, or one.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep everything here, so that a run can be taken up again.")
    ] = None,
    allow_process: Annotated[
        bool, typer.Option("--allow-process", help="Really run a bare command, with your own rights.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a file of inputs through an image: server, workers and job in one command.

    Exits 0 when the job completed, 1 when it failed, 2 when it was refused, 3 when it completed with error lines.
    """
    check_what_runs(options)
    if options.engine == "process" and not allow_process:
        raise Refusal(
            Code.ENGINE_NOT_ALLOWED,
            "The engine process runs a bare command with your own rights and no container around it.",
            "Say --allow-process if you trust the command, or name an --image.",
        )
    place = _input_of(input)
    fields = request_fields(options) | {"input_uri": place.uri, "output_uri": output.resolve().as_uri()}
    wanted = workers or quorum_of(options.verify)
    with ExitStack() as stack:
        home = stack.enter_context(_home(data_dir))
        if data_dir is not None and options.job_id is None:
            fields["job_id"] = _derived_job_id(place, fields)
        roots = (*place.roots, _existing(output.resolve()))
        job = _Laptop(home, roots, options, wanted, allow_process, kept=data_dir)
        try:
            status = job.run(fields, output, as_json)
        except KeyboardInterrupt:
            note(_how_to_go_on(data_dir))
            status = EXIT_INTERRUPTED
    raise typer.Exit(status)


class _Laptop:
    """One machine playing the whole system for the time of one job."""

    def __init__(
        self,
        home: Path,
        roots: tuple[Path, ...],
        options: JobOptions,
        workers: int,
        allow_process: bool,
        kept: Path | None,
    ) -> None:
        self._home = home
        self._roots = roots
        self._options = options
        self._workers = workers
        self._allow_process = allow_process
        self._kept = kept

    def run(self, fields: dict[str, Any], output: Path, as_json: bool) -> int:
        """The exit code. Raises Refusal for what is refused at the door, KeyboardInterrupt when interrupted."""
        with ThreadPoolExecutor(1, thread_name_prefix="trial") as pool:
            # Trying the engine and loading the server take a second each, one outside this process, one inside.
            trial = pool.submit(self._engine)
            from fallow.sdk.client import Client
            from fallow.settings import load_settings
            from fallow.wiring import start_embedded

            engine, flavour = trial.result()
        given = {
            "data_dir": self._home,
            "listen": "127.0.0.1:0",
            "allowed_roots": self._roots,
            "allow_process_jobs": self._allow_process,
            "allow_exec_plugins": True,  # only the person at this command line names any
            "boinc": False,  # nobody attaches to a server that lasts as long as one job
        }
        started = time.monotonic()
        server = start_embedded(load_settings(given, {}))
        try:
            with Client(server.url, server.admin_key) as client:
                job_id = _submit_or_go_on(client, fields, output)
                cores = len(os.sched_getaffinity(0))
                plan = FleetPlan(
                    server=server.url,
                    token=server.admin_key,
                    data_dir=self._home,
                    workers=self._workers,
                    slots=slots_of(self._workers, cores),
                    engine=engine,
                    flavour=flavour,
                    label=self._options.label,
                    allow_process=self._allow_process,
                )
                with _running(Fleet(plan)) as fleet, ProgressShown() as shown:
                    detail = client.wait(job_id, lambda seen: self._look(seen, shown, fleet))
                if detail.state == "failed":
                    show_last_log(client, job_id)
            seconds = time.monotonic() - started
            show_summary(detail, _errors_in(output), seconds, shown.done_here, str(output), as_json)
        finally:
            server.stop()
        return exit_code(detail)

    def _engine(self) -> tuple[str, str]:
        """The engine that all workers use, and how it runs here, found once. Raises Refusal ENGINE_MISSING."""
        if self._options.engine == "process":
            return "process", ""
        from fallow.core.words import Engine
        from fallow.worker.engines.oci_engine import flavour_words
        from fallow.worker.equipment import equip
        from fallow.worker.options import AgentOptions

        wanted = Engine(self._options.engine) if self._options.engine else None
        trial = AgentOptions(server="", data_dir=self._home / "trial", engine=wanted, note=lambda _line: None)
        found = equip(trial, "trial")
        return found.names[0], flavour_words(found.containers.flavour) if found.containers else ""

    def _look(self, detail: "JobDetail", shown: ProgressShown, fleet: Fleet) -> None:
        shown(detail)
        status = fleet.over()
        if status is not None and detail.finished_at is None:
            raise Refusal(
                Code.ENGINE_MISSING if status == 2 else Code.STATE_CONFLICT,
                f"All workers ended before the job did. The last that one of them said: {fleet.last_words()}",
                f"Their logs are in {self._kept}." if self._kept else "Say --data-dir DIR to keep their logs.",
            )


@contextmanager
def _running(fleet: Fleet) -> Iterator[Fleet]:
    fleet.start()
    try:
        yield fleet
    except BaseException:
        fleet.stop(at_once=True)
        raise
    fleet.stop()


@contextmanager
def _home(data_dir: Path | None) -> Iterator[Path]:
    """The data directory; a temporary one goes away afterwards."""
    try:
        if data_dir is not None:
            data_dir.mkdir(parents=True, exist_ok=True)
            yield data_dir.resolve()
            return
        temporary = Path(tempfile.mkdtemp(prefix="fallow-run-"))
    except OSError as wrong:
        raise Refusal(
            Code.SETTING_INVALID, f"The data directory cannot be made: {wrong.strerror}.", "Give another --data-dir."
        ) from None
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _existing(directory: Path) -> Path:
    """The directory, or the nearest one above it that is there: outputs are made below a root, never the root."""
    return next(each for each in (directory, *directory.parents) if each.exists())


class _Input:
    """What INPUT means. roots: directories that the server must be allowed to read for it. mark: changes with it."""

    def __init__(self, uri: str, roots: tuple[Path, ...] = (), mark: str = "") -> None:
        self.uri = uri
        self.roots = roots
        self.mark = mark


def _input_of(text: str) -> _Input:
    if "://" in text and not text.startswith("file:"):
        return _Input(text)
    path = _local_path(text)
    try:
        stat = path.stat()
    except OSError as wrong:
        raise Refusal(
            Code.INPUT_MISSING, f"The input {text} cannot be found: {wrong.strerror}.", "Check the path."
        ) from None
    mark = f"{stat.st_size}:{stat.st_mtime_ns}"
    if path.is_dir():
        return _Input(path.as_uri().rstrip("/") + "/", (path,), mark)
    return _Input(path.as_uri(), (path.parent,), mark)


def _local_path(text: str) -> Path:
    if not text.startswith("file:"):
        return Path(text).resolve()
    from urllib.parse import unquote, urlsplit

    return Path(unquote(urlsplit(text).path)).resolve()


def _derived_job_id(place: _Input, fields: dict[str, Any]) -> str:
    """The same for the same input and the same words, so that an interrupted run is found again."""
    asked = {name: value for name, value in fields.items() if name not in ("overwrite", "priority", "name")}
    named = json.dumps([place.mark, asked], sort_keys=True)
    return "run-" + hashlib.sha256(named.encode()).hexdigest()[:16]


def _submit_or_go_on(client: "Client", fields: dict[str, Any], output: Path) -> str:
    """The job's id: a new job, or the one that was interrupted, with only what is missing to do."""
    try:
        return client.submit(**fields).job_id
    except Refusal as refusal:
        if refusal.code is not Code.JOB_ID_TAKEN:
            raise
    job_id = str(fields["job_id"])
    detail = client.job(job_id)
    done, total = detail.progress.completed_chunks, detail.progress.total_chunks
    note(f"going on with job {job_id}: {done:,} of {total:,} chunks are done")
    if detail.state == "paused":
        client.resume(job_id)
    elif detail.state in ("failed", "cancelled", "expired") or (
        detail.state == "completed" and not (output / "manifest.json").exists()
    ):
        client.rerun(job_id)
    return job_id


def _errors_in(output: Path) -> list[tuple[str, str, int]]:
    path = output / "errors.jsonl"
    if not path.exists():
        return []
    with path.open("rb") as lines:
        return top_errors(lines)


def _how_to_go_on(data_dir: Path | None) -> str:
    if data_dir is None:
        return "Interrupted. Nothing is kept; with --data-dir DIR a run can be taken up again."
    return "Interrupted. Finished chunks are kept: run the same command again to go on."

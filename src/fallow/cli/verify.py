"""fallow verify: proves an output offline."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fallow.cli.options import AsJson, examples
from fallow.cli.showing import many, note, show_json


def register(app: typer.Typer) -> None:
    shown = (
        "fallow verify out/",
        "fallow verify out/ --item 1234",
        "fallow verify --proof proof.json --line line.json",
    )
    app.command(epilog=examples(*shown))(verify)


def verify(
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Holds output.jsonl, errors.jsonl, manifest.json.")
    ] = None,
    item: Annotated[int | None, typer.Option(min=0, metavar="N", help="Print the proof of item N, from 0.")] = None,
    proof: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A proof of one line, from the page of receipts.")
    ] = None,
    line: Annotated[Path | None, typer.Option(metavar="FILE", help="The line that --proof is of; - is stdin.")] = None,
    as_json: AsJson = False,
) -> None:
    """Prove an output from its manifest, or one line from its proof: every hash, every signature. Needs no server.

    Exits 0 when everything is as it was written and signed, else 1 and names what is not.
    """
    if proof is not None and line is not None and directory is None:
        _check_line(proof, line, as_json)
    elif directory is None or proof is not None or line is not None:
        raise typer.BadParameter("Missing argument DIR; or give --proof and --line, and no DIR.")
    elif item is None:
        _verify(directory, as_json)
    else:
        _prove(directory, item, as_json)


def _verify(directory: Path, as_json: bool) -> None:
    from fallow.sdk.verify import verify as check

    verdict = check(directory)
    if as_json:
        show_json({"good": verdict.good, **asdict(verdict)})
    elif verdict.good:
        typer.echo(
            f"{directory} is good: {many(verdict.items, 'item')} of job {verdict.job_id} in "
            f"{many(verdict.chunks, 'chunk')}, {many(verdict.error_items, 'error line')}; "
            f"{many(verdict.receipts, 'receipt')} signed by {many(verdict.workers, 'worker')}."
        )
    else:
        for finding in verdict.findings:
            note(finding.message)
        if verdict.more:
            note(f"... and {many(verdict.more, 'finding')} more.")
        note(f"{directory} is not what was written and signed.")
    if not verdict.good:
        raise typer.Exit(1)


def _check_line(proof: Path, line: Path, as_json: bool) -> None:
    from fallow.core.refusals import Code, Refusal
    from fallow.sdk.lines import check_line

    try:
        receipt, index = check_line(proof, line)
    except Refusal as refusal:
        if refusal.code not in (Code.DIGEST_MISMATCH, Code.RECEIPT_INVALID):
            raise
        note(str(refusal))
        raise typer.Exit(1) from None
    if as_json:
        show_json({"good": True, "item": receipt.item_start + index, "receipt": asdict(receipt)})
        return
    typer.echo(f"The line is good: item {receipt.item_start + index} of job {receipt.job_id}.")
    typer.echo(f"  signed by   worker {receipt.worker_id}")
    typer.echo(f"  ran         {receipt.image}")
    typer.echo(f"  made        {receipt.started_at} to {receipt.finished_at} by the worker's clock")
    typer.echo(f"  from        items {receipt.item_start} to {receipt.item_end}, input sha256:{receipt.input_sha256}")


def _prove(directory: Path, item: int, as_json: bool) -> None:
    from fallow.core.refusals import Code, Refusal
    from fallow.sdk.proof import prove

    try:
        proof = prove(directory, item)
    except Refusal as refusal:
        if refusal.code is not Code.DIGEST_MISMATCH:
            raise
        note(str(refusal))
        raise typer.Exit(1) from None
    if as_json:
        show_json({**asdict(proof), "line": proof.line.decode("utf-8", "backslashreplace")})
        return
    signed = f"signed by worker {proof.worker_id}" if proof.worker_id else "an error line, written by the server"
    typer.echo(f"item {item}: line {proof.line_number} of output.jsonl, {signed}")
    typer.echo(f"  line        {proof.line.decode('utf-8', 'backslashreplace')}")
    typer.echo(f"  leaf        {proof.leaf}")
    for sibling in proof.path:
        typer.echo(f"  beside      {sibling}")
    typer.echo(f"  items root  {proof.items_root}  (chunk {proof.chunk_id}, line {proof.index + 1} of {proof.size})")
    for sibling in proof.job_path:
        typer.echo(f"  beside      {sibling}")
    typer.echo(f"  job root    {proof.job_root}  (job {proof.job_id}, {many(proof.chunk_count, 'chunk')})")

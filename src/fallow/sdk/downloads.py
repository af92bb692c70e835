"""Fetches a finished job's files; a broken connection goes on by Range, and a file appears whole or not at all."""

import os
from pathlib import Path

from fallow.core.refusals import Code, Refusal
from fallow.sdk.transport import RETRIES, Transport, pause
from fallow.sdk.uploads import OnBytes

OUTPUT_FILES = (
    "output.jsonl",
    "errors.jsonl",
    "manifest.json",
)  # in this order: the manifest says the others are there


def download_output(
    transport: Transport,
    job_id: str,
    directory: Path,
    names: tuple[str, ...],
    overwrite: bool,
    on_bytes: OnBytes | None,
) -> list[Path]:
    """The paths written. Raises Refusal OUTPUT_EXISTS, OUTPUT_UNWRITABLE, or what the server says."""
    targets = [directory / name for name in names]
    taken = next((target for target in targets if target.exists()), None)
    if taken and not overwrite:
        raise Refusal(Code.OUTPUT_EXISTS, f"{taken} exists already.", "Choose another directory, or say --overwrite.")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for target in targets:
            temporary = target.with_name(f".{target.name}.part")
            _fetch(transport, f"/api/jobs/{job_id}/output/{target.name}", temporary, on_bytes)
            temporary.replace(target)
    except OSError as wrong:
        raise Refusal(
            Code.OUTPUT_UNWRITABLE,
            f"{directory} cannot be written: {wrong.strerror}.",
            "Choose a directory with room that you may write.",
        ) from None
    return targets


def _fetch(transport: Transport, path: str, temporary: Path, on_bytes: OnBytes | None) -> None:
    etag = ""
    have = failures = 0
    with temporary.open("wb") as file:
        while True:
            headers = {"range": f"bytes={have}-", "if-range": etag} if have else {}
            before = have
            try:
                with transport.stream(path, headers=headers) as answer:
                    if answer.status_code != 206 and have:  # the file is another one now
                        file.seek(0)
                        file.truncate()
                        have = 0
                    etag = answer.headers.get("etag", "")
                    total = have + int(answer.headers.get("content-length", 0))
                    for piece in answer.iter_bytes():
                        file.write(piece)
                        have += len(piece)
                        if on_bytes:
                            on_bytes(have, total)
                break
            except Refusal as refusal:
                if refusal.code is not Code.SERVER_UNREACHABLE or failures == RETRIES:
                    raise
            failures = 0 if have > before else failures + 1
            pause(failures)
        file.flush()
        os.fsync(file.fileno())

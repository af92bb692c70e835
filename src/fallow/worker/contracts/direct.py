"""The direct contract, the seed's: the image fetches AI_INPUT_URI itself, puts its output to AI_OUTPUT_URI, and says in
/out/receipt.json what it put there:

    {"job_id": "...", "chunk_id": 7, "artifact": {"uri": "AI_OUTPUT_URI/NAME", "sha256": "..."}}

The worker believes none of it: it fetches the artifact back, checks it line by line, and signs the full receipt.
"""

import json
from dataclasses import replace
from pathlib import Path

from fallow.worker.assignment import is_loopback
from fallow.worker.contracts.contract import Work
from fallow.worker.contracts.files import submitters_without_answers, take_lines
from fallow.worker.contracts.once import only_item, run_once
from fallow.worker.engines.engine import Mount, Network
from fallow.worker.faults import Fault, disk_full, ours, submitters
from fallow.worker.transfer import TransferFailed, fetch

RECEIPT = "receipt.json"
RECEIPT_BYTES_MAX = 1 << 20


class DirectContract:
    """One container per chunk, with the network. For a server on the loopback address that is the machine's own."""

    def run(self, work: Work) -> Fault | None:
        assignment = work.assignment
        source, out = work.directory / "in", work.directory / "out"
        source.mkdir()
        out.mkdir()
        for each in (source, out):
            each.chmod(0o777)
        env = assignment.environment(assignment.input_url, assignment.output_url)
        network = Network.HOST if is_loopback(assignment.output_url) else Network.OUTBOUND
        mounts = (Mount(source, "/in", True), Mount(out, "/out", True))
        if not work.engine.isolates:
            env["FALLOW_OUT"] = str(out)
        if fault := run_once(work, env, mounts, network, out):
            return fault
        claim = _claim(work, out / RECEIPT)
        if isinstance(claim, Fault):
            return claim
        uri, sha256 = claim
        return _check(work, uri, sha256)


def _claim(work: Work, path: Path) -> tuple[str, str] | Fault:
    """(uri, sha256) of the image's own receipt."""
    assignment = work.assignment
    if path.is_symlink() or not path.is_file() or path.stat().st_size > RECEIPT_BYTES_MAX:
        return submitters("receipt_missing", "The program ended without /out/receipt.json.", only_item(work))
    try:
        body = json.loads(path.read_bytes())
        job_id, chunk_id = body["job_id"], body["chunk_id"]
        uri, sha256 = body["artifact"]["uri"], body["artifact"]["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return submitters("receipt_invalid", "/out/receipt.json is not a receipt.", only_item(work))
    if job_id != assignment.job_id or str(chunk_id) != str(assignment.chunk_id):
        return submitters("receipt_invalid", "/out/receipt.json is for another chunk.", only_item(work))
    name = uri.removeprefix(assignment.output_url.rstrip("/") + "/") if isinstance(uri, str) else ""
    if not name or name == uri or "/" in name or name in {".", ".."} or not isinstance(sha256, str):
        sentence = "/out/receipt.json names an artifact that is not directly below AI_OUTPUT_URI."
        return submitters("receipt_invalid", sentence, only_item(work))
    return uri, sha256.lower()


def _check(work: Work, uri: str, sha256: str) -> Fault | None:
    """Fetches the artifact back and reads it as any other."""
    path = work.directory / "artifact"
    try:
        fetched = fetch(uri, path, 0, 0, work.control.wait)
    except TransferFailed as failed:
        if failed.status in {400, 404}:
            return submitters(
                "artifact_missing", "The artifact is not at the URI in /out/receipt.json.", only_item(work)
            )
        return ours("artifact_unreadable", "The artifact could not be fetched back.")
    except OSError:
        return disk_full()
    if fetched.sha256 != sha256:
        sentence = "The artifact's SHA-256 is not the one in /out/receipt.json."
        return submitters("receipt_invalid", sentence, only_item(work))
    fault = take_lines(work, path)
    if fault is None and work.answers.sha256 != sha256:
        return submitters_without_answers("receipt_invalid", "The artifact is not plain JSON lines, one per item.")
    if fault is None:
        # The name only: the URI is signed, and a receipt is read by many.
        work.artifact_uri = f"{work.assignment.artifact_uri}/{uri.rpartition('/')[2]}"
        return None
    return replace(fault, keeps_answers=False)

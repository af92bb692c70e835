"""Fetches a chunk's input into its slot and prepares the lines that the image will read. Everything is on disk."""

import errno
import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from fallow.core.words import Contract, InputFormat
from fallow.worker.answers import error_line, parse_json
from fallow.worker.assignment import Assignment, InputObject
from fallow.worker.faults import Fault, disk_full, ours, submitters
from fallow.worker.items import Item, items_of, object_item, too_large
from fallow.worker.transfer import Fetched, TransferFailed, Wait, fetch, hashed

EXPIRED = frozenset({"url_expired"})


@dataclass(frozen=True, slots=True)
class Staged:
    """items: a file of the lines to send. refused: by position in the chunk, the answer of an item that is not sent.

    objects_dir: the objects as files, for the files contract over objects. input_sha256: of the bytes as they came; of
    "name sha256" lines for objects. bundle_dir: the files that come with the one item. args: its command line.
    """

    items: Path
    count: int
    refused: Mapping[int, bytes] = field(default_factory=dict)
    input_sha256: str = ""
    objects_dir: Path | None = None
    names: tuple[str, ...] = ()
    bundle_dir: Path | None = None
    args: str | None = None

    @property
    def sent(self) -> int:
        """How many items the image gets."""
        return self.count - len(self.refused)


def stage(assignment: Assignment, directory: Path, wait: Wait) -> Staged | Fault:
    """The chunk's input, ready. Never raises for what the network, the disk or the input does."""
    try:
        if assignment.input.format is InputFormat.OBJECTS:
            return _stage_objects(assignment, directory, wait)
        if assignment.input.format is InputFormat.BUNDLES:
            return _stage_bundle(assignment, directory, wait)
        return _stage_extent(assignment, directory, wait)
    except TransferFailed as failed:
        return _input_fault(failed)
    except OSError as wrong:
        if wrong.errno in {errno.ENOSPC, errno.EDQUOT}:
            return disk_full()
        raise


def _stage_extent(assignment: Assignment, directory: Path, wait: Wait) -> Staged | Fault:
    extent = assignment.input
    raw = directory / "extent"
    fetched = _fetch_checked(raw, extent.sha256, lambda: fetch(extent.url, raw, extent.offset, extent.length, wait))
    if fetched is None:
        return _changed()
    items = items_of(raw, extent, assignment.limits.item_bytes)
    chosen = itertools.islice(items, extent.skip, extent.skip + assignment.item_count)
    staged = _write_items(assignment, directory, chosen, fetched.sha256)
    raw.unlink()
    return staged


def _stage_objects(assignment: Assignment, directory: Path, wait: Wait) -> Staged | Fault:
    objects = assignment.input.objects
    digest = hashlib.sha256()
    as_files = assignment.contract is Contract.FILES
    target = directory / "objects"
    target.mkdir()
    names = _file_names(objects)

    def each_item() -> Iterator[Item]:
        for each, name in zip(objects, names, strict=True):
            path = target / name
            if each.size_bytes > assignment.limits.item_bytes:
                yield too_large(assignment.limits.item_bytes)
                continue
            fetched = _fetch_checked(path, each.sha256, partial(fetch, each.url, path, 0, each.size_bytes, wait))
            if fetched is None or fetched.size_bytes != each.size_bytes:
                raise TransferFailed("the object is not the one that was planned", 412, "input_changed")
            digest.update(f"{each.name} {fetched.sha256}\n".encode())
            yield object_item(each.name, b"" if as_files else path.read_bytes())
            if not as_files:
                path.unlink()

    staged = _write_items(assignment, directory, each_item(), "")
    if isinstance(staged, Fault):
        return staged
    return Staged(staged.items, staged.count, staged.refused, digest.hexdigest(), target if as_files else None, names)


def _stage_bundle(assignment: Assignment, directory: Path, wait: Wait) -> Staged | Fault:
    """The item's line, and its files under the names by which the image opens them."""
    staged = _stage_extent(assignment, directory, wait)
    if isinstance(staged, Fault) or staged.refused:
        return staged
    line = staged.items.read_bytes()
    item = parse_json(line)
    if assignment.item_count != 1 or not isinstance(item, dict):
        return _changed()
    target = directory / "bundle"
    target.mkdir()
    if isinstance(refused := item.get("refused"), dict):
        answer = error_line(str(refused.get("code", "refused")), str(refused.get("message", "")))
        staged.items.write_bytes(b"")
        return replace(staged, refused={0: answer}, bundle_dir=target)
    for each in assignment.input.objects:
        path = target / each.name
        if path.name != each.name or path.exists() or each.name == staged.items.name:
            return _changed()
        fetched = _fetch_checked(path, each.sha256, partial(_fetch_object, each, path, wait))
        if fetched is None or fetched.size_bytes != each.size_bytes:
            return _changed()
    for said in item.get("files", []):
        if "text" in said:
            path = target / str(said["open_name"])
            if path.name != said["open_name"] or path.exists():
                return _changed()
            path.write_text(said["text"], encoding="utf-8", newline="")
    args = item.get("command_line")
    return replace(staged, bundle_dir=target, args=args if isinstance(args, str) else None)


def _fetch_object(each: InputObject, path: Path, wait: Wait) -> Fetched:
    if each.size_bytes == 0:  # a request for no bytes would be one for all of them
        path.write_bytes(b"")
        return hashed(path)
    return fetch(each.url, path, 0, each.size_bytes, wait)


def _write_items(assignment: Assignment, directory: Path, items: Iterator[Item], input_sha256: str) -> Staged | Fault:
    path = directory / "items.jsonl"
    refused: dict[int, bytes] = {}
    count = 0
    with path.open("wb") as file:
        for position, item in enumerate(items):
            if item.refused:
                refused[position] = item.refused
            else:
                file.write(item.line + b"\n")
            count = position + 1
    if count != assignment.item_count:
        return _changed()
    return Staged(path, count, refused, input_sha256)


def _fetch_checked(path: Path, sha256: str, once: Callable[[], Fetched]) -> Fetched | None:
    """The bytes with this hash; None when they differ twice, the second time after a clean start."""
    for _ in range(2):
        fetched = once()
        if not sha256 or fetched.sha256 == sha256:
            return fetched
        path.unlink()
    return None


def _input_fault(failed: TransferFailed) -> Fault:
    if failed.code == "input_changed" or failed.status in {412, 416}:
        return _changed()
    if failed.code in EXPIRED or failed.status in {401, 403, 410}:
        return ours("url_expired", "The signed URL of the input is not valid any more.")
    if failed.status == 404:
        return submitters("input_unreadable", "The input is not there any more.")
    return ours("input_unreadable", "The input could not be fetched.")


def _changed() -> Fault:
    return submitters("input_changed", "The input has changed since the job was planned.")


def _file_names(objects: tuple[InputObject, ...]) -> tuple[str, ...]:
    """A file name for each: its last path component, with its number in front where that is taken or no name."""
    taken = {"items.jsonl", "", ".", ".."}
    names = []
    for number, each in enumerate(objects):
        name = each.name.rstrip("/").rpartition("/")[2].replace("\0", "_")
        names.append(f"{number}-{name}" if name in taken else name)
        taken.add(names[-1])
    return tuple(names)

"""Wheels: fetched by pip for the image's Python (not this machine's), checked, and unpacked without running anything.

Only wheels: a source archive would run its author's code on this machine, and give other bytes on each.
"""

import fnmatch
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

from fallow.core.refusals import Code, Refusal
from fallow.sdk.images.spec import Progress, WheelData

# A wheel for an older glibc runs on a newer one. 2.34 is what every distribution since 2022 has.
GLIBC_MINORS = (17, 24, 26, 27, 28, 31, 34)
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# Where a wheel's extra folders belong; scripts, headers and the like are of no use in an image.
_INSIDE_DATA = ("purelib", "platlib")


def download_wheels(
    lines: tuple[str, ...], python: str, architecture: str, cache: Path, progress: Progress
) -> list[Path]:
    """The wheels of pinned requirement lines, sorted by name; nothing that the lines do not name.

    python: "3.12". architecture: as in OCI, "amd64". Raises Refusal IMAGE_UNKNOWN with pip's own reason.
    """
    key = hashlib.sha256(json.dumps([sorted(lines), python, architecture]).encode()).hexdigest()[:32]
    folder = cache / "wheels" / key
    if not folder.is_dir():
        progress(f"downloading {len(lines)} wheels")
        partial = folder.with_name(f".{key}.part")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _pip_download(lines, python, architecture, partial)
        partial.rename(folder)
    return sorted(folder.glob("*.whl"))


def unpack_wheel(wheel: Path, target: Path) -> None:
    """Puts a wheel's modules into `target`. Raises Refusal IMAGE_INVALID."""
    with _opened(wheel) as archive:
        for entry in archive.infolist():
            first, _, rest = entry.filename.partition("/")
            name = entry.filename
            if first.endswith(".data"):
                kind, _, name = rest.partition("/")
                if kind not in _INSIDE_DATA:
                    continue
            if not entry.is_dir():
                _extract(archive, entry, target / _safe(name, wheel))


def unpack_data(wheel: Path, data: WheelData, target: Path) -> None:
    """Puts the files that `data` asks for into `target`. Raises Refusal IMAGE_INVALID when one of them is not there."""
    prefix = data.source + "/" if data.source else ""
    with _opened(wheel) as archive:
        entries = {
            e.filename.removeprefix(prefix): e
            for e in archive.infolist()
            if e.filename.startswith(prefix) and not e.is_dir()
        }
        for pattern in data.files:
            matching = fnmatch.filter(entries, pattern)
            if not matching:
                raise Refusal(
                    Code.IMAGE_INVALID,
                    f"{wheel.name} has no file {prefix}{pattern}.",
                    "Correct `from` and `files` of [[data]] in the spec.",
                )
            for name in matching:
                _extract(archive, entries[name], target / _safe(name, wheel))


def _pip_download(lines: tuple[str, ...], python: str, architecture: str, folder: Path) -> None:
    listed = folder / "requirements.txt"
    listed.write_text("\n".join(lines) + "\n")
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input", "-q"]
    if any("--hash=" in line for line in lines):
        options.append("--require-hashes")
    options += ["--implementation", "cp", "--python-version", python, "--platform", "any"]
    options += [f"--abi={abi}" for abi in (f"cp{python.replace('.', '')}", "abi3", "none")]
    machine = MACHINES.get(architecture, architecture)
    options += [f"--platform=manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS]
    options += [f"--platform=manylinux2014_{machine}", f"--platform=linux_{machine}"]
    command = [*_pip(), "download", *options, "-d", str(folder), "-r", str(listed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    listed.unlink()
    if done.returncode:
        reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = reasons[0].removeprefix("ERROR: ") if reasons else f"it ended with exit code {done.returncode}"
        raise Refusal(
            Code.IMAGE_UNKNOWN,
            f"pip cannot fetch the wheels for Python {python} on {architecture}: {reason.rstrip('.')}.",
            "Check the names and versions, and that pip can reach its index.",
        )


def _pip() -> list[str]:
    """pip of this Python, or of the system's."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    for name in ("pip3", "pip"):
        found = shutil.which(name)
        if found:
            return [found]
    raise Refusal(Code.ENGINE_MISSING, "Python packages are fetched by pip, which is not here.", "Install pip.")


def _opened(wheel: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(wheel)
    except (OSError, zipfile.BadZipFile):
        raise Refusal(Code.IMAGE_INVALID, f"{wheel.name} is not a wheel.", "Remove it from the cache.") from None


def _safe(name: str, wheel: Path) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise Refusal(Code.IMAGE_INVALID, f"{wheel.name} has a file outside of itself.", "Do not use this wheel.")
    return name


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
    if entry.external_attr >> 16 & 0o111:
        target.chmod(0o755)

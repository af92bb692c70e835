"""Debian packages for a base: which ones Python needs, and their files, from this machine's apt. No root needed.

Works on Debian and its relatives. Where apt's lists are missing or too old to download from, a private copy of them
is fetched into the cache with the same sources; the system's own lists are left alone.
"""

import hashlib
import json
import os
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fallow.core.refusals import Code, Refusal
from fallow.sdk.images.spec import Progress

# They configure a system, which nobody does in an image, or serve modules that went out of use (nis, dbm.ndbm).
UNNEEDED = re.compile(
    r"(debconf|cdebconf|dpkg|perl|tar|media-types|mime-support|mailcap|readline-common|install-info|sensible-utils|libc-bin|"
    r"libnsl2|libdb5.3|openssl-provider-legacy|gcc-\d+-base)(-.*|:.*)?"
)
LISTS = Path("/var/lib/apt/lists")
_LIST_FILES = "*_Packages*"
_UPDATE = "Run `apt-get update` as root, or name another base (BASE=, or base in the spec)."


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    version: str
    sha256: str


class Apt:
    """apt's own programs, with the system's lists or with private ones in the cache. fresh: fetched in this build."""

    def __init__(self, cache: Path, progress: Progress) -> None:
        self.cache = cache
        self.progress = progress
        # A machine without lists of its own goes on with those that an earlier build has fetched.
        self.private = not any(LISTS.glob(_LIST_FILES)) and any((cache / "apt" / "lists").glob(_LIST_FILES))
        self.fresh = False

    def resolve(self, python: str) -> tuple[str, tuple[Package, ...]]:
        """The Python version ("3.11") and the packages of a base with it, sorted by name.

        python: "3.11", or "" for the distribution's own. The answer is remembered until apt's lists change.
        Raises Refusal IMAGE_UNKNOWN, or ENGINE_MISSING on a machine without apt.
        """
        memo = self.cache / "apt.json"
        key = f"{python} {UNNEEDED.pattern} {self._lists_state()}"
        known = _read_memo(memo)
        if known.get("key") == key:
            return str(known["python"]), tuple(Package(**p) for p in known["packages"])
        version = python or self._default_python()
        names = self._closure([f"python{version}-minimal", f"libpython{version}-stdlib", "libstdc++6"])
        packages = self._packages(names)
        memo.parent.mkdir(parents=True, exist_ok=True)
        memo.write_text(json.dumps({"key": key, "python": version, "packages": [asdict(p) for p in packages]}))
        return version, packages

    def use_private_lists(self) -> None:
        """Fetches apt's lists into the cache. Raises Refusal IMAGE_UNKNOWN when no source can be reached."""
        self.progress("fetching the package lists")
        self.private = self.fresh = True
        for folder in ("lists/partial", "archives/partial"):
            (self.cache / "apt" / folder).mkdir(parents=True, exist_ok=True)
        done = self._run("apt-get", "update", "-qq")
        if done.returncode:
            raise Refusal(Code.IMAGE_UNKNOWN, f"apt cannot fetch its package lists: {_last_line(done.stderr)}", _UPDATE)

    def download(self, packages: tuple[Package, ...]) -> list[Path]:
        """The .deb files in the cache, in the order of `packages`, each with the SHA-256 of apt's signed lists."""
        debs = self.cache / "debs"
        debs.mkdir(parents=True, exist_ok=True)
        missing = [p for p in packages if not (debs / f"{p.sha256}.deb").exists()]
        if missing:
            self.progress(f"downloading {len(missing)} Debian packages")
            incoming = self.cache / "incoming" / str(os.getpid())
            incoming.mkdir(parents=True, exist_ok=True)
            done = self._run("apt-get", "download", "-qq", *(f"{p.name}={p.version}" for p in missing), cwd=incoming)
            if done.returncode:
                raise Refusal(
                    Code.IMAGE_UNKNOWN, f"apt cannot download the base's packages: {_last_line(done.stderr)}", _UPDATE
                )
            for file in incoming.glob("*.deb"):
                file.replace(debs / f"{hashlib.sha256(file.read_bytes()).hexdigest()}.deb")
            incoming.rmdir()
        paths = [debs / f"{p.sha256}.deb" for p in packages]
        for path, package in zip(paths, packages, strict=True):
            if not path.exists():
                raise Refusal(
                    Code.DIGEST_MISMATCH, f"The package {package.name} has other bytes than apt's lists say.", _UPDATE
                )
        return paths

    def _default_python(self) -> str:
        """The Python that the distribution calls python3."""
        for name in self._graph(["python3-minimal"]).get("python3-minimal", []):
            found = re.fullmatch(r"python(3\.\d+)-minimal", name)
            if found:
                return found[1]
        raise Refusal(Code.IMAGE_UNKNOWN, "apt knows no package for Python.", _UPDATE)

    def _closure(self, roots: list[str]) -> list[str]:
        """The roots and all they need, sorted, without what a program in a container does not."""
        graph = self._graph(roots)
        seen: set[str] = set()
        waiting = list(roots)
        while waiting:
            name = waiting.pop()
            if name not in seen and not UNNEEDED.fullmatch(name):
                seen.add(name)
                waiting += graph.get(name, [])
        return sorted(seen)

    def _graph(self, roots: list[str]) -> dict[str, list[str]]:
        """Package -> what it needs; of alternatives the first. Virtual packages are left out."""
        done = self._run("apt-cache", "depends", "--recurse", "--important", *roots)
        if done.returncode:
            raise Refusal(Code.IMAGE_UNKNOWN, f"apt does not know {' or '.join(roots)} here.", _UPDATE)
        graph: dict[str, list[str]] = {}
        needs: list[str] = []
        alternative = False
        for line in done.stdout.splitlines():
            found = re.fullmatch(r"( [ |])(?:Pre)?Depends: (\S+)", line)
            if found:
                if not alternative and not found[2].startswith("<"):
                    needs.append(found[2])
                alternative = found[1] == " |"
            elif not line.startswith(" "):
                needs = graph.setdefault(line.strip(), [])
                alternative = False
        return graph

    def _packages(self, names: list[str]) -> tuple[Package, ...]:
        done = self._run("apt-cache", "show", "--no-all-versions", *names)
        found: dict[str, Package] = {}
        for block in done.stdout.split("\n\n"):
            fields = dict(re.findall(r"^(Package|Version|SHA256): (\S+)$", block, re.MULTILINE))
            if len(fields) == 3:
                found[fields["Package"]] = Package(fields["Package"], fields["Version"], fields["SHA256"])
        missing = [name for name in names if name not in found]
        if missing:
            raise Refusal(Code.IMAGE_UNKNOWN, f"apt cannot download {missing[0]}.", _UPDATE)
        return tuple(found[name] for name in sorted(names))

    def _lists_state(self) -> str:
        """Changes when apt's lists do."""
        folder = self.cache / "apt" / "lists" if self.private else LISTS
        state = hashlib.sha256()
        for path in sorted(folder.glob(_LIST_FILES)):
            status = path.stat()
            state.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode())
        return state.hexdigest()

    def _run(self, program: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        options = ["-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1"]
        if self.private:
            options += ["-o", f"Dir::State::lists={self.cache / 'apt/lists'}"]
            options += ["-o", f"Dir::Cache={self.cache / 'apt'}"]
        environ = os.environ | {"LC_ALL": "C"}
        try:
            return subprocess.run(
                [program, *options, *arguments], capture_output=True, text=True, check=False, cwd=cwd, env=environ
            )
        except FileNotFoundError:
            raise Refusal(
                Code.ENGINE_MISSING,
                f"A base of Debian packages needs {program}, which is not on this machine.",
                "Name another base: an image of a registry, or oci:DIR (BASE=, or base in the spec).",
            ) from None


def unpack(deb: Path, root: Path) -> None:
    """Raises Refusal IMAGE_INVALID for a package that dpkg cannot unpack, ENGINE_MISSING without dpkg."""
    try:
        done = subprocess.run(["dpkg", "-x", deb, root], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Refusal(
            Code.ENGINE_MISSING,
            "A base of Debian packages needs dpkg.",
            "Name another base (BASE=, or base in the spec).",
        ) from None
    if done.returncode:
        raise Refusal(Code.IMAGE_INVALID, f"{deb.name} cannot be unpacked: {_last_line(done.stderr)}", "Try again.")


def _read_memo(path: Path) -> dict[str, Any]:
    try:
        memo = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}  # not there, or cut short by a crash: ask apt again
    return memo if isinstance(memo, dict) else {}


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it gave no reason."

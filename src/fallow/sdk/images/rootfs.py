"""A small root file system with Python, from Debian packages: no shell, no package manager, about 45 MB."""

import os
import shutil
import subprocess
from pathlib import Path

from fallow.core.refusals import Code, Refusal
from fallow.sdk.images.debian import unpack

# In a Debian of today these four are links into /usr; the packages still name both.
MERGED = ("bin", "lib", "lib64", "sbin")
FOLDERS = ("usr/bin", "usr/lib", "usr/lib64", "usr/sbin", "etc", "proc", "sys", "dev", "run", "tmp", "var/tmp", "home")
DOCUMENTATION = (
    "usr/share/man",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/bug",
    "usr/share/doc-base",
    "usr/share/info",
    "usr/share/applications",
    "usr/share/pixmaps",
    "usr/share/gcc",
    "usr/share/gdb",
)
# Parts of the standard library that build, test or teach, and glibc's table of character sets.
UNUSED = ("test", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "pydoc_data")
USERS = """root:x:0:0:root:/root:/sbin/nologin
app:x:1000:1000:app:/home:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
"""
GROUPS = "root:x:0:\napp:x:1000:\nnogroup:x:65534:\n"


def build_rootfs(debs: list[Path], python: str, root: Path) -> None:
    """Unpacks the packages into `root`, an empty folder, and leaves out what a model does not need.

    Copyright files stay: the licences ask for them.
    """
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True)
    for deb in debs:
        unpack(deb, root)
    for name in MERGED:
        _merge(root / name, root / "usr" / name)
        (root / name).symlink_to(f"usr/{name}")
    _strip(root, python)
    (root / "usr/bin/python3").unlink(missing_ok=True)
    (root / "usr/bin/python3").symlink_to(f"python{python}")
    (root / "etc/passwd").write_text(USERS)
    (root / "etc/group").write_text(GROUPS)
    # Without it glibc asks no DNS server for "localhost", and an image with a network could not resolve names.
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")


def compile_python(folder: Path, interpreter: list[str], stripped: Path, environ: dict[str, str]) -> None:
    """Writes .pyc files for all of `folder`: a read-only container would compile it on each start.

    unchecked-hash: a .pyc with a time in it would differ from build to build. -B: nor may Python leave such files of
    what compileall itself imports.
    interpreter: must be of the image's version, else its Python ignores the files. stripped: the folder that becomes
    "/", whose name must not be in the files. Sources that do not compile (templates, old syntax) are left as they are.
    """
    options = ["-qq", "-f", "-r", "250", "--invalidation-mode", "unchecked-hash", "-s", str(stripped), "-p", "/"]
    subprocess.run(
        [*interpreter, "-B", "-S", "-s", "-m", "compileall", *options, str(folder)],
        capture_output=True,
        check=False,
        # Sets are written in the order of their hashes, which are random otherwise.
        env=environ | {"PYTHONHASHSEED": "0", "PATH": os.environ.get("PATH", "")},
    )


def rootfs_python(root: Path, python: str) -> tuple[list[str], dict[str, str]]:
    """How to run the root's own Python from outside, without entering it: its loader, and its environment.

    Raises Refusal IMAGE_INVALID when it does not run: then nor would the image.
    """
    loaders = sorted((root / "usr/lib64").glob("ld-linux-*.so.*")) + sorted((root / "usr/lib").rglob("ld-linux-*.so.*"))
    libraries = sorted({str(path.parent) for path in (root / "usr/lib").rglob("libc.so.6")})
    if loaders and libraries:
        loader = _resolve(root, loaders[0])
        command = [str(loader), "--library-path", ":".join(libraries), str(root / f"usr/bin/python{python}")]
        environ = {"PYTHONHOME": str(root / "usr"), "LC_ALL": "C.UTF-8"}
        probe = subprocess.run(
            [*command, "-B", "-S", "-c", "import zlib, ssl"], capture_output=True, check=False, env=environ
        )
        if not probe.returncode:
            return command, environ
    raise Refusal(
        Code.IMAGE_INVALID,
        f"The Python {python} of the Debian packages does not run.",
        "Name another base (BASE=, or base in the spec).",
    )


def _resolve(root: Path, path: Path) -> Path:
    """Follows a link as it is meant inside the root."""
    if path.is_symlink():
        target = os.readlink(path)
        return root / target.lstrip("/") if target.startswith("/") else path.parent / target
    return path


def _merge(old: Path, new: Path) -> None:
    """Moves a folder's content into another one. Some packages name /lib, some /usr/lib."""
    if not old.is_dir():
        return
    for path in sorted(old.iterdir()):
        target = new / path.name
        if path.is_dir() and not path.is_symlink() and target.is_dir():
            _merge(path, target)
        else:
            path.replace(target)
    old.rmdir()


def _strip(root: Path, python: str) -> None:
    library = root / "usr/lib" / f"python{python}"
    for name in DOCUMENTATION:
        shutil.rmtree(root / name, ignore_errors=True)
    for name in UNUSED:
        shutil.rmtree(library / name, ignore_errors=True)
    for folder in [*library.glob(f"config-{python}-*"), *(root / "usr/lib").glob("*/gconv"), library / "__pycache__"]:
        shutil.rmtree(folder, ignore_errors=True)
    for page in (root / "usr/share/doc").glob("*/*"):
        if page.name != "copyright" and not page.is_dir():
            page.unlink()

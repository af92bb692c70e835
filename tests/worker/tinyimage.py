"""A small image with a shell for the tests: as a file system, and as an OCI layout's parts."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
APPLETS = (
    "sh",
    "cat",
    "head",
    "tail",
    "sleep",
    "dd",
    "yes",
    "true",
    "seq",
    "echo",
    "rm",
    "mkdir",
    "wget",
    "sed",
    "tr",
    "wc",
    "ls",
    "id",
    "env",
    "touch",
    "ln",
    "printf",
    "kill",
    "sha256sum",
    "cut",
)


def busybox_root(extra: dict[str, bytes] | None = None) -> bytes:
    """A tar of a root directory."""
    assert BUSYBOX.exists(), "install the package busybox-static"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("bin", "tmp", "in", "out", "etc"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(entry)
        for name, data, mode in (
            ("bin/busybox", BUSYBOX.read_bytes(), 0o755),
            *((name, data, 0o644) for name, data in (extra or {}).items()),
        ):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
        for applet in APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return buffer.getvalue()


def layout_parts(root: bytes) -> tuple[bytes, dict[str, bytes], str]:
    """(manifest, blobs by digest, image id) of a one-layer image."""
    layer = gzip.compress(root, 1, mtime=0)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/cat"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(root)]},
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [described(layer, "application/vnd.oci.image.layer.v1.tar+gzip")],
    }
    return json.dumps(manifest).encode(), {digest_of(b): b for b in (config, layer)}, digest_of(config)


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def described(data: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}

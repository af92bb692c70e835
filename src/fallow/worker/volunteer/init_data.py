"""What the program needs of init_data.xml, which the client writes into the slot before each start.

Read leniently, by the tags that are wanted: the file also holds the volunteer's account key, which is never looked at.
"""

import re
import xml.sax.saxutils
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

FILE = "init_data.xml"
BYTES_MAX = 1 << 20
DOCKER_TYPES = {1: "docker", 2: "podman"}


@dataclass(frozen=True, slots=True)
class InitData:
    """What is not said has the default. slot: its number, -1 when not known. cpus, memory_bytes, disk_bytes: what this
    task may use, None when not said (disk: of all of the client's data). docker: "docker", "podman" or "".
    gpu_device: the number of the one GPU that is this task's, -1 for none. proxy: a URL with its password, or ""."""

    result_name: str = ""
    project_dir: str = ""
    client_dir: str = ""
    slot: int = -1
    cpus: float | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    docker: str = ""
    gpu_kind: str = ""
    gpu_device: int = -1
    proxy: str = ""
    no_proxy: str = ""


def read_init_data(directory: Path) -> InitData:
    """Of this slot; all defaults where there is none, as when the program is started by hand."""
    try:
        with (directory / FILE).open("rb") as file:
            return parse_init_data(file.read(BYTES_MAX).decode("utf-8", "replace"))
    except OSError:
        return InitData()


def parse_init_data(text: str) -> InitData:
    """Never raises."""
    device = _number(text, "gpu_device_num")
    memory, share = _number(text, "m_nbytes"), _number(text, "ram_max_used_idle_pct")
    disk = _number(text, "disk_max_used_gb")
    return InitData(
        result_name=_text(text, "result_name"),
        project_dir=_text(text, "project_dir"),
        client_dir=_text(text, "boinc_dir"),
        slot=int(_number(text, "slot", -1)),
        # What a GPU's task needs of the processor is a fraction, and an estimate: no reason to throttle it.
        cpus=max(1.0, _number(text, "ncpus")) if _number(text, "ncpus") > 0 else None,
        memory_bytes=int(memory * (share or 100) / 100) or None,
        disk_bytes=int(disk * 1e9) or None,
        docker=DOCKER_TYPES.get(int(_number(text, "docker_type")), ""),
        gpu_kind=_text(text, "gpu_type"),
        gpu_device=int(device) if _text(text, "gpu_type") and device >= 0 else -1,
        proxy=_proxy(text),
        no_proxy=_text(text, "no_proxy"),
    )


def _proxy(text: str) -> str:
    """An HTTP proxy only; SOCKS needs more than the standard library."""
    host, port = _text(text, "http_server_name"), int(_number(text, "http_server_port", 80))
    if not host:
        return ""
    user, password = _text(text, "http_user_name"), _text(text, "http_user_passwd")
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    return f"http://{login}{host}:{port}"


def _text(text: str, tag: str) -> str:
    match = re.search(rf"<{tag}>([^<]*)</{tag}>", text)
    return xml.sax.saxutils.unescape(match[1].strip(), {"&quot;": '"', "&apos;": "'"}) if match else ""


def _number(text: str, tag: str, default: float = 0.0) -> float:
    try:
        number = float(_text(text, tag))
    except ValueError:
        return default
    return number if abs(number) < 1e18 else default

"""A scheduler call's bytes as a value. What is missing, garbled or out of all proportion has the default or is bounded.

Only a body without a whole <scheduler_request> is refused: half a request would make results look lost. Hot: the large
blocks that nobody reads here are stepped over, see Scanner.
Source: BOINC sched/sched_types.cpp, SCHEDULER_REQUEST::parse(); client/cs_scheduler.cpp, make_scheduler_request().
"""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from fallow.protocols.boinc.messages import (
    ClientCoprocessor,
    ClientFile,
    ClientResult,
    HostInfo,
    Preferences,
    SchedulerRequest,
)
from fallow.protocols.boinc.xml import ELEMENTS_MAX, Block, Scanner, Unreadable, data_text, markup_text, text_of

NAME_CHARS_MAX: Final = 255
FEATURES_CHARS_MAX: Final = 4096
STDERR_CHARS_MAX: Final = 64 << 10  # the client sends at most so much, client/app_control.cpp
LABEL_CHARS_MAX: Final = 64
_KEY_CHARS_MAX: Final = 4096
_NUMBER_BYTES_MAX: Final = 64
_COUNT_MAX: Final = 2**53  # numbers that rows keep, and that a double is exact for
_PLATFORMS_MAX: Final = 16
_COPROCESSORS_MAX: Final = 64
_SECONDS_MAX: Final = 1e9
_BYTES_MAX: Final = 1e18
_FLOPS_MAX: Final = 1e18
_GIGABYTE: Final = 1 << 30  # BOINC's: lib/boinc_stdio.h, GIGA
_MEGABYTE: Final = 1 << 20
_MD5: Final = re.compile(rb"\s*([0-9A-Fa-f]{32})\s*\Z")
_NAME: Final = re.compile(rb"<name>([^<]{0,4096}+)</name>")
_KINDS: Final = {
    b"coproc_cuda": "NVIDIA",
    b"coproc_ati": "ATI",
    b"coproc_intel_gpu": "intel_gpu",
    b"coproc_apple_gpu": "apple_gpu",
    b"coproc": "",
}
_Fields = Mapping[bytes, bytes]


def parse_request(body: bytes) -> SchedulerRequest:
    """Raises Unreadable: no request, half a request, or far too much of one."""
    scanner = Scanner(body)
    root = scanner.root("scheduler_request")
    fields, found = scanner.inside(root.start, root.end)
    blocks = {each.name: each for each in found}
    times = _block(scanner, blocks.get(b"time_stats"))
    preferences, venue = _preferences(scanner, blocks)
    client_version = (
        _int(fields, b"core_client_major_version", 0, 9999),
        _int(fields, b"core_client_minor_version", 0, 9999),
        _int(fields, b"core_client_release", 0, 9999),
    )
    wanted = b"cpu_req_secs" if b"cpu_req_secs" in fields else b"work_req_seconds"
    return SchedulerRequest(
        authenticator=_text(fields, b"authenticator"),
        host_id=_int(fields, b"hostid", 0, _COUNT_MAX),
        rpc_seqno=_int(fields, b"rpc_seqno", 0, _COUNT_MAX),
        client_version=client_version,
        platforms=_platforms(scanner, fields, found),
        allow_multiple_clients=_flag(fields, b"allow_multiple_clients"),
        dont_send_work=_flag(fields, b"dont_send_work"),
        dont_use_docker=_flag(fields, b"dont_use_docker"),
        client_cap_plan_class=_flag(fields, b"client_cap_plan_class"),
        wanted_seconds=_float(fields, wanted, 0.0, _SECONDS_MAX),
        wanted_instances=_float(fields, b"cpu_req_instances", 0.0, 65536.0),
        estimated_delay_seconds=_float(fields, b"estimated_delay", 0.0, _SECONDS_MAX),
        said_code_sign_key=_text(fields, b"code_sign_key", _KEY_CHARS_MAX),
        cross_project_id=_text(fields, b"cross_project_id"),
        venue=_text(fields, b"host_venue") or venue,
        worker_label=_text(fields, b"worker_label", LABEL_CHARS_MAX),
        on_fraction=_fraction(times, b"on_frac"),
        active_fraction=_fraction(times, b"active_frac"),
        client_time=_float(times, b"now", 0.0, 1e12),
        project_disk_bytes=_disk(scanner, blocks.get(b"disk_usage")),
        host=_host(scanner, blocks.get(b"host_info"), blocks.get(b"coprocs")),
        preferences=preferences,
        results=tuple(_result(scanner, each) for each in found if each.name == b"result"),
        held=_held(scanner, fields, blocks),
        sticky_files=_sticky_files(scanner, found),
    )


def _platforms(scanner: Scanner, fields: _Fields, found: Sequence[Block]) -> tuple[str, ...]:
    """The one that it is first, then others that it can also run."""
    others = (_leaves(scanner, each) for each in found if each.name == b"alt_platform")
    names = [_text(fields, b"platform_name"), *(_text(each, b"name") for each in others)]
    return tuple(each for each in names if each)[:_PLATFORMS_MAX]


def _sticky_files(scanner: Scanner, found: Sequence[Block]) -> tuple[str, ...]:
    files = (_leaves(scanner, each) for each in found if each.name == b"file_info")
    return tuple(_text(each, b"name") for each in files if _int(each, b"status", 0, 99) == 1)


def _result(scanner: Scanner, block: Block) -> ClientResult:
    fields, found = scanner.inside(block.start, block.end)
    return ClientResult(
        name=_text(fields, b"name"),
        exit_status=_int(fields, b"exit_status", -(2**31), 2**32 - 1),
        client_state=_int(fields, b"state", 0, 99),
        elapsed_seconds=_float(fields, b"final_elapsed_time", 0.0, _SECONDS_MAX),
        cpu_seconds=_float(fields, b"final_cpu_time", 0.0, _SECONDS_MAX),
        stderr=_stderr(scanner, fields, found),
        files=tuple(_file(_leaves(scanner, each)) for each in found if each.name == b"file_info"),
    )


def _file(fields: _Fields) -> ClientFile:
    md5 = _MD5.match(fields.get(b"md5_cksum", b""))
    return ClientFile(
        name=_text(fields, b"name"),
        size_bytes=_int(fields, b"nbytes", 0, _COUNT_MAX),
        md5=md5[1].decode().lower() if md5 else "",
        error=_text(fields, b"error_msg"),
    )


def _stderr(scanner: Scanner, fields: _Fields, found: Sequence[Block]) -> str:
    """The client's message, then what the program wrote, tags of its own included. Of a long one the end: the reason is
    there."""
    block = next((each for each in found if each.name == b"stderr_out"), None)
    if block is None:
        plain = fields.get(b"stderr_out", b"")
        raw, is_data = text_of(_tail(plain), len(plain)).encode(), True
    else:
        raw = scanner.body[block.start : block.end]
        is_data = b"<![CDATA[" in raw
    said, is_written, written = raw.partition(b"<stderr_txt>")
    parts = [said.partition(b"<message>")[2].rpartition(b"</message>")[0]]
    if is_written:
        parts.append(written.rpartition(b"</stderr_txt>")[0] or written)
    elif not parts[0]:
        if block is not None:
            return _end(markup_text(_tail(raw), 2 * len(raw)))
        parts = [raw.removesuffix(b"</stderr_txt>")]  # its beginning may have been cut off
    texts = (data_text(each) if is_data else text_of(each, len(each)) for each in map(_tail, parts) if each)
    return _end("\n".join(each for each in texts if each))


def _tail(raw: bytes) -> bytes:
    """As many bytes as are surely enough, not beginning within a character of UTF-8."""
    start = len(raw) - 12 * STDERR_CHARS_MAX
    if start <= 0:
        return raw
    return raw[next((at for at in range(start, start + 4) if raw[at] & 0xC0 != 0x80), start) :]


def _end(text: str) -> str:
    return text[-STDERR_CHARS_MAX:].lstrip()


def _host(scanner: Scanner, info: Block | None, coprocessors: Block | None) -> HostInfo:
    fields, found = scanner.inside(info.start, info.end) if info else ({}, [])
    coprocessors = next((each for each in found if each.name == b"coprocs"), coprocessors)
    return HostInfo(
        cpid=_text(fields, b"host_cpid"),
        name=_text(fields, b"domain_name"),
        address=_text(fields, b"ip_addr"),
        timezone=_int(fields, b"timezone", -86400, 86400),
        cores=_int(fields, b"p_ncpus", 1, 65536),
        vendor=_text(fields, b"p_vendor"),
        model=_text(fields, b"p_model"),
        features=_text(fields, b"p_features", FEATURES_CHARS_MAX),
        flops=_float(fields, b"p_fpops", 0.0, _FLOPS_MAX),
        memory_bytes=_float(fields, b"m_nbytes", 0.0, _BYTES_MAX),
        disk_total_bytes=_float(fields, b"d_total", 0.0, _BYTES_MAX),
        disk_free_bytes=_float(fields, b"d_free", 0.0, _BYTES_MAX),
        os_name=_text(fields, b"os_name"),
        os_version=_text(fields, b"os_version"),
        docker_version=_text(fields, b"docker_version"),
        docker_type=_int(fields, b"docker_type", 0, 99),
        coprocessors=_coprocessors(scanner, coprocessors),
    )


def _coprocessors(scanner: Scanner, block: Block | None) -> tuple[ClientCoprocessor, ...]:
    if block is None:
        return ()
    _, found = scanner.inside(block.start, block.end)
    return tuple(_coprocessor(scanner, each) for each in found if each.name in _KINDS)[:_COPROCESSORS_MAX]


def _coprocessor(scanner: Scanner, block: Block) -> ClientCoprocessor:
    fields = _leaves(scanner, block)
    return ClientCoprocessor(
        kind=_KINDS[block.name] or _text(fields, b"type"),
        model=_text(fields, b"name"),
        count=_int(fields, b"count", 0, 4096),
        memory_bytes=_video_memory(scanner, block, fields),
        wanted_seconds=_float(fields, b"req_secs", 0.0, _SECONDS_MAX),
        wanted_instances=_float(fields, b"req_instances", 0.0, 4096.0),
    )


def _video_memory(scanner: Scanner, block: Block, fields: _Fields) -> int:
    """Bytes: NVIDIA's own, AMD's (it counts megabytes), OpenCL's, or what is free of it now.

    Source: BOINC lib/coproc.cpp, COPROC_NVIDIA::write_xml() and its siblings.
    """
    opencl = scanner.leaf(b"global_mem_size", block.start, block.end) or b""
    said = {**fields, b"opencl": opencl}
    return (
        _int(said, b"totalGlobalMem", 0, _COUNT_MAX)
        or _int(said, b"localRAM", 0, 1 << 30) * _MEGABYTE
        or _int(said, b"opencl", 0, _COUNT_MAX)
        or _int(said, b"available_ram", 0, _COUNT_MAX)
    )


def _preferences(scanner: Scanner, blocks: Mapping[bytes, Block]) -> tuple[Preferences, str]:
    """The limits in force, and the venue that they are for. A new client says them all, an old one its user's."""
    block = blocks.get(b"working_global_preferences") or blocks.get(b"global_preferences")
    if block is None:
        return Preferences(), ""
    start, end = block.start, block.end
    names = (b"max_ncpus_pct", b"ram_max_used_idle_pct", b"disk_max_used_gb", b"venue")
    said = {name: text for name in names if (text := scanner.leaf(name, start, end)) is not None}
    nothing = Preferences()
    venue = _text(said, b"venue")
    preferences = Preferences(
        cores_fraction=_percent(said, b"max_ncpus_pct", nothing.cores_fraction),
        memory_fraction=_percent(said, b"ram_max_used_idle_pct", nothing.memory_fraction),
        disk_bytes=_float(said, b"disk_max_used_gb", 0.0, _BYTES_MAX / _GIGABYTE) * _GIGABYTE,
        venue=venue,
    )
    return preferences, venue


def _disk(scanner: Scanner, block: Block | None) -> float:
    text = scanner.leaf(b"d_project_share", block.start, block.end) if block else None
    return _float({b"": text or b""}, b"", 0.0, _BYTES_MAX)


def _held(scanner: Scanner, fields: _Fields, blocks: Mapping[bytes, Block]) -> tuple[str, ...] | None:
    """Each <other_result> has one <name>, and nothing else there is called so."""
    block = blocks.get(b"other_results")
    if block is None:
        return () if b"other_results" in fields else None
    found = list(islice(_NAME.finditer(scanner.body, block.start, block.end), ELEMENTS_MAX + 1))
    if len(found) > ELEMENTS_MAX:
        raise Unreadable(f"It holds more than {ELEMENTS_MAX} results.")
    return tuple(text_of(each[1], NAME_CHARS_MAX) for each in found)


def _block(scanner: Scanner, block: Block | None) -> _Fields:
    return _leaves(scanner, block) if block else {}


def _leaves(scanner: Scanner, block: Block) -> _Fields:
    return scanner.inside(block.start, block.end)[0]


def _text(fields: _Fields, name: bytes, chars_max: int = NAME_CHARS_MAX) -> str:
    raw = fields.get(name)
    return text_of(raw, chars_max) if raw else ""


def _flag(fields: _Fields, name: bytes) -> bool:
    """<x/> and <x>1</x>."""
    raw = fields.get(name)
    return raw is not None and (not raw or _number(raw) not in {0.0, None})


def _int(fields: _Fields, name: bytes, low: int, high: int) -> int:
    """0, or what is nearest to it, when it is not said."""
    value = _number(fields.get(name, b"")) or 0.0
    return low if value < low else high if value > high else int(value)


def _float(fields: _Fields, name: bytes, low: float, high: float, default: float = 0.0) -> float:
    value = _number(fields.get(name, b""))
    if value is None:
        return default
    return low if value < low else high if value > high else value


def _fraction(fields: _Fields, name: bytes) -> float:
    """0..1; 1 when it is not known, which BOINC says as -1."""
    value = _float(fields, name, -1.0, 1.0, 1.0)
    return 1.0 if value < 0 else value


def _percent(fields: _Fields, name: bytes, default: float) -> float:
    """A share, 0..1. 0 per cent is no limit, as in BOINC's lib/prefs.cpp."""
    value = _float(fields, name, 0.0, 100.0) / 100
    return value or default


def _number(raw: bytes) -> float | None:
    """None for what is no number; infinities are numbers."""
    if not raw or len(raw) > _NUMBER_BYTES_MAX:
        return None
    try:
        value = float(raw)
    except ValueError:
        return None
    return None if math.isnan(value) else value

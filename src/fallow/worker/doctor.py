"""Says in plain words what works on this machine and what to do about what does not. Tries things instead of reading
about them: a container that really runs, a memory limit that really ends a program."""

import getpass
import json
import os
import shutil
import tempfile
from pathlib import Path

from fallow.core.refusals import Refusal
from fallow.core.words import Engine
from fallow.worker import machine
from fallow.worker.engines.engine import End
from fallow.worker.engines.oci_engine import Flavour, OciEngine
from fallow.worker.engines.probe import PROGRAMS, probe, run_tiny
from fallow.worker.engines.tiny import EATEN_BYTES
from fallow.worker.findings import Finding, fail, info, ok, warn
from fallow.worker.hardware import examine_gpu, examine_virtualization
from fallow.worker.identity import load_identity
from fallow.worker.options import AgentOptions
from fallow.worker.reach import examine_reach

GIB = 1 << 30
DISK_WANTED = 10 * GIB
DISK_NEEDED = 2 * GIB
INODES_NEEDED = 10_000
MEMORY_LIMIT = 64 << 20
WORKER_ID = "w-doctor"


def examine(options: AgentOptions) -> list[Finding]:
    """Every check, most important first. options.server may be empty: then the server is not tried. Never raises."""
    findings, flavour = _engines(options)
    findings += _host(flavour)
    if flavour is not None:
        findings += [_memory_limit(flavour), _way_in(flavour), *_storage(flavour)]
    findings.append(_data_dir(options))
    findings += [_disk("disk of the data directory", _existing(options.data_dir)), _memory()]
    findings += [*examine_gpu(flavour), examine_virtualization()]
    if options.server:
        findings += examine_reach(options.server, options.token)
    return findings


def _engines(options: AgentOptions) -> tuple[list[Finding], Flavour | None]:
    """One finding for each engine, and the first that works. The second engine need not work when the first does."""
    findings: list[Finding] = []
    chosen: Flavour | None = None
    if options.allow_process:
        findings.append(ok("engine process", "Programs without a container are allowed, for trusted submitters only."))
    if options.engine is Engine.PROCESS:
        if not options.allow_process:
            findings.append(fail("engine process", "It is not allowed.", "Start the worker with --allow-process."))
        return findings, None
    for program in [str(options.engine)] if options.engine else PROGRAMS:
        verdict = probe(program, WORKER_ID)
        if verdict.flavour is not None:
            findings.append(ok(f"engine {program}", verdict.message))
            chosen = chosen or verdict.flavour
        else:
            worse = info if chosen or options.allow_process else fail
            findings.append(worse(f"engine {program}", verdict.message, verdict.remedy))
    if chosen is not None:
        # One engine is enough, whichever comes first in the list.
        findings = [info(f.check, f.message, f.remedy) if f.verdict == "fail" else f for f in findings]
    return findings, chosen


def _host(flavour: Flavour | None) -> list[Finding]:
    """What is special about this host's control groups, limits and users."""
    findings: list[Finding] = []
    unified = Path("/sys/fs/cgroup/cgroup.controllers")
    mixed = Path("/sys/fs/cgroup/unified/cgroup.controllers")
    if unified.exists():
        findings.append(ok("control groups", "Version 2."))
    elif mixed.exists() and mixed.read_text().strip():
        said = "Version 1 with a controller left in version 2; crun refuses this, runc does not."
        remedy = "" if flavour else "apt-get install runc, or boot with systemd.unified_cgroup_hierarchy=1."
        findings.append(info("control groups", said, remedy))
    else:
        findings.append(info("control groups", "Version 1."))
    if not _has_capability(24) and os.getuid() == 0:
        limits = ", ".join(flavour.ulimits) if flavour else "none"
        said = "This host does not let root raise limits (CAP_SYS_RESOURCE is missing)."
        said += f" The worker passes its own: {limits}."
        findings.append(info("limits", said))
    if os.getuid() != 0:
        findings += _rootless()
    return findings


def _rootless() -> list[Finding]:
    """What containers of an ordinary user need."""
    user = getpass.getuser()
    findings: list[Finding] = []
    for path, wrong, right in (
        ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ):
        if _text(path) == wrong:
            findings.append(warn("user namespaces", f"They are off ({path} = {wrong}).", f"As root: {right}"))
    ids = [file for file in ("/etc/subuid", "/etc/subgid") if f"{user}:" in _text(file)]
    if len(ids) < 2 or not shutil.which("newuidmap"):
        remedy = (
            f"apt-get install uidmap; usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}; "
            "podman system migrate"
        )
        findings.append(warn("subordinate ids", f"There are none for {user}.", remedy))
    if not os.environ.get("XDG_RUNTIME_DIR"):
        findings.append(warn("XDG_RUNTIME_DIR", "It is not set.", f"export XDG_RUNTIME_DIR=/run/user/{os.getuid()}"))
    return findings or [ok("rootless", "Containers of an ordinary user are set up.")]


def _memory_limit(flavour: Flavour) -> Finding:
    """Really eats memory under a limit: some hosts take the option and ignore it."""
    engine = OciEngine(flavour, WORKER_ID)
    with tempfile.TemporaryDirectory(prefix="fallow-doctor-") as directory:
        outcome, said = run_tiny(engine, Path(directory, "run"), "eat", memory_bytes=MEMORY_LIMIT)
    if outcome.end is End.OUT_OF_MEMORY:
        return ok("memory limit", "A program that eats memory is ended at its limit, and the reason is seen.")
    if outcome.end is End.EXITED and outcome.exit_code == 137:
        return warn("memory limit", "A program that eats memory is ended at its limit, but the reason is not seen.")
    if outcome.end is End.EXITED and outcome.exit_code == 0:
        said = f"Memory limits are not enforced: {EATEN_BYTES >> 20} MiB fitted into {MEMORY_LIMIT >> 20} MiB."
        remedy = "Run the worker as root, or move to control groups version 2 with Delegate=cpu cpuset io memory pids."
        return warn("memory limit", said, remedy)
    return warn("memory limit", f"It could not be tried: {said or outcome.message or outcome.exit_code}")


def _way_in(flavour: Flavour) -> Finding:
    """Whether servers in containers without a network can be reached, for the contract http."""
    check = "contract http"
    if not OciEngine(flavour, WORKER_ID).reaches:
        said = "This user may not enter the containers' network: jobs of the contract http go elsewhere."
        return warn(check, said, "Run the worker as root with CAP_SYS_ADMIN, or use podman as an ordinary user.")
    return ok(check, "Servers in containers can be reached, without opening a port.")


def _storage(flavour: Flavour) -> list[Finding]:
    """Where the engine keeps images, and how."""
    if not flavour.podman:
        answer = OciEngine(flavour, WORKER_ID).command("info", "--format={{.DockerRootDir}}")
        return [_disk("disk of docker's images", _existing(Path(answer.stdout.strip() or "/")))]
    answer = OciEngine(flavour, WORKER_ID).command("info", "--format={{json .Store}}")
    try:
        store = json.loads(answer.stdout)
        driver, root = str(store["graphDriverName"]), Path(store["graphRoot"])
    except (ValueError, KeyError, TypeError):
        return [warn("storage", "podman does not say where it keeps images.", "Try: podman info")]
    findings = [_disk("disk of podman's images", _existing(root))]
    if driver == "vfs":
        remedy = 'Set driver = "overlay" in ~/.config/containers/storage.conf, then: podman system reset'
        findings.append(warn("storage", "podman stores a full copy for each container (vfs).", remedy))
    return findings


def _data_dir(options: AgentOptions) -> Finding:
    """Whether the worker's key can be read or made. A directory that is not there is not left behind."""
    directory = options.data_dir
    if not directory.exists():
        writable = os.access(_existing(directory), os.W_OK)
        said = f"{directory} will be made at the first start." if writable else f"{directory} cannot be made."
        return ok("data directory", said) if writable else fail("data directory", said, "Choose another: --data-dir")
    try:
        identity = load_identity(directory)
    except Refusal as refused:
        return fail("data directory", refused.message, refused.remedy)
    return ok("data directory", f"{directory} holds the key of worker {identity.worker_id}.")


def _disk(check: str, path: Path) -> Finding:
    usage = shutil.disk_usage(path)
    free = f"{usage.free / GIB:.1f} GiB free at {path}."
    if os.statvfs(path).f_favail < INODES_NEEDED and os.statvfs(path).f_files:
        return fail(check, f"Almost no files can be made at {path}: the inodes are used up.", "Remove small files.")
    if usage.free < DISK_NEEDED:
        return fail(check, free, f"Images and chunks need at least {DISK_NEEDED // GIB} GiB. Free some space.")
    return warn(check, free, "Large images need more.") if usage.free < DISK_WANTED else ok(check, free)


def _memory() -> Finding:
    cores = machine.cores()
    return ok("machine", f"{machine.platform_name()}, {cores} cores, {machine.memory_bytes() / GIB:.1f} GiB of memory.")


def _existing(path: Path) -> Path:
    """This directory, or the nearest above it that is there."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _has_capability(number: int) -> bool:
    line = next((line for line in _text("/proc/self/status").splitlines() if line.startswith("CapBnd")), "CapBnd: 0")
    return bool(int(line.split()[1], 16) >> number & 1)


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""

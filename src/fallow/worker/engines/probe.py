"""Finds out by really running something which engine works on this machine, and with which options.

Each trial uses the hardening flags of real work. The traps behind the variants: crun refuses hosts whose version 1
control groups are mixed with version 2; the engine's default limits cannot be set where root lacks CAP_SYS_RESOURCE;
--init needs a helper program that not every host has.
"""

import re
import resource
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from fallow.worker.engines import tiny
from fallow.worker.engines.engine import ContainerSpec, End, EngineBroken, Mount, Outcome
from fallow.worker.engines.oci_engine import Flavour, OciEngine

PROGRAMS = ("podman", "docker")
TRIAL_SECONDS = 30.0
NOFILE_MAX = 65536
NPROC_MAX = 32768


@dataclass(frozen=True, slots=True)
class Verdict:
    """flavour: how to run, None when nothing worked. message, remedy: why not; or what had to be worked around."""

    program: str
    flavour: Flavour | None
    message: str
    remedy: str = ""


REMEDIES = (
    (
        r"executable file not found|No such file or directory: '(podman|docker)'|not found",
        "Install podman: apt-get install podman crun runc uidmap slirp4netns",
    ),
    (r"podman machine", "Start podman's virtual machine: podman machine init; podman machine start"),
    (r"Cannot connect to the Docker daemon", "Start docker: systemctl start docker"),
    (
        r"permission denied.*docker.*sock|docker.*sock.*permission denied",
        "Add your user to the group docker (equals root), or use rootless podman.",
    ),
    (
        r"setrlimit|RLIMIT",
        "This host does not let root raise limits (CAP_SYS_RESOURCE is missing). Give the worker that capability.",
    ),
    (
        r"cgroups in hybrid mode",
        "Install runc (apt-get install runc), or boot with systemd.unified_cgroup_hierarchy=1.",
    ),
    (
        r"newuidmap|subuid|subgid|uid mapping|not enough.*IDs",
        "Give your user subordinate ids: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER; "
        "podman system migrate",
    ),
    (
        r"user namespace|unshare|clone.*not permitted",
        "Allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000 "
        "kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    (r"/dev/net/tun", "Let the worker's user read and write /dev/net/tun."),
    (r"no space left", "Free some disk space where the engine keeps its images."),
    (r"XDG_RUNTIME_DIR", "Set XDG_RUNTIME_DIR to a directory of the worker's user, such as /run/user/$(id -u)."),
)


def probe(program: str, worker_id: str) -> Verdict:
    """Whether containers run with this program, and how. Never raises."""
    version = _version(program)
    if isinstance(version, Verdict):
        return version
    rootless = program == "podman" and _rootless()
    wrong = ""
    limits = not rootless or Path("/sys/fs/cgroup/cgroup.controllers").exists()
    for flavour in _variants(Flavour(program, version, ulimits=own_ulimits(), rootless=rootless, limits=limits)):
        wrong = trial(OciEngine(flavour, worker_id))
        if not wrong:
            return Verdict(program, flavour, f"{program} {version} runs containers{_how(flavour)}.")
    said = f"{program} is installed but cannot start a container: {wrong}"
    return Verdict(program, None, said, remedy_for(wrong))


def trial(engine: OciEngine) -> str:
    """Runs the tiny program with every hardening flag; what went wrong, "" for nothing."""
    broken = _import_tiny(engine)
    if broken:
        return broken
    with tempfile.TemporaryDirectory(prefix="fallow-probe-") as directory:
        mount = Path(directory, "out")
        mount.mkdir()
        mount.chmod(0o777)
        # Where the limit is each process's own (rootless on cgroup v1), runc itself must fit into it.
        mounts = (Mount(mount, "/out", True),)
        outcome, said = run_tiny(engine, Path(directory, "run"), memory_bytes=256 << 20, mounts=mounts)
    return "" if outcome.end is End.EXITED and outcome.exit_code == 0 else said or f"exit code {outcome.exit_code}"


def run_tiny(
    engine: OciEngine, run_dir: Path, *arguments: str, memory_bytes: int = 64 << 20, mounts: tuple[Mount, ...] = ()
) -> tuple[Outcome, str]:
    """(how it ended, the last line of what the engine said). Arguments make the tiny program eat memory."""
    run_dir.mkdir()
    spec = ContainerSpec(
        image_id=tiny.IMAGE,
        run_dir=run_dir,
        command=(tiny.COMMAND, *arguments),
        mounts=mounts,
        memory_bytes=memory_bytes,
        cpus=0.5,
        pids=64,
        tmp_bytes=1 << 20,
        timeout_seconds=TRIAL_SECONDS,
        attempt="probe",
    )
    try:
        running = engine.start(spec)
    except EngineBroken as broken:
        return Outcome(End.ENGINE_ERROR), str(broken)
    try:
        running.stdin.close()
        outcome = running.wait(TRIAL_SECONDS)
        if outcome is None:
            return Outcome(End.ENGINE_ERROR), f"a container that ends at once did not end within {TRIAL_SECONDS:g} s"
        return outcome, _last_line(running.stderr.read().decode("utf-8", "replace"))
    finally:
        running.close()


def remedy_for(message: str) -> str:
    """What to do about this message of an engine; a general word when it is not known."""
    for pattern, remedy in REMEDIES:
        if re.search(pattern, message, re.IGNORECASE):
            return remedy
    return "Try it by hand with: podman run --rm docker.io/library/hello-world"


def own_ulimits() -> tuple[str, ...]:
    """Limits that this process may set: never above its own hard ones."""
    limits = []
    for name, which, most in (
        ("nofile", resource.RLIMIT_NOFILE, NOFILE_MAX),
        ("nproc", resource.RLIMIT_NPROC, NPROC_MAX),
    ):
        hard = resource.getrlimit(which)[1]
        value = most if hard == resource.RLIM_INFINITY else min(hard, most)
        limits.append(f"{name}={value}:{value}")
    return tuple(limits)


def _variants(flavour: Flavour) -> list[Flavour]:
    """What to try, best first."""
    runtimes = ("", "runc", "crun") if flavour.podman else ("",)
    return [replace(flavour, runtime=runtime, init=init) for runtime in runtimes for init in (True, False)]


def _how(flavour: Flavour) -> str:
    how = [f"with {flavour.runtime}"] if flavour.runtime else []
    how += ["rootless"] if flavour.rootless else []
    how += [] if flavour.limits else ["without limits by control group"]
    how += [] if flavour.init else ["without --init"]
    return f" ({', '.join(how)})" if how else ""


def _version(program: str) -> "str | Verdict":
    template = "{{.Version}}" if program == "podman" else "{{.Server.Version}}"
    arguments = [program, "version", "--format", template]
    try:
        answer = subprocess.run(arguments, capture_output=True, text=True, timeout=TRIAL_SECONDS, check=False)
    except FileNotFoundError:
        return Verdict(program, None, f"{program} is not installed.", remedy_for("not found"))
    except (OSError, subprocess.TimeoutExpired):
        return Verdict(program, None, f"{program} does not answer.", f"Try it by hand with: {program} version")
    if answer.returncode or not answer.stdout.strip():
        wrong = _last_line(answer.stderr)
        return Verdict(program, None, f"{program} is installed but does not work: {wrong}", remedy_for(wrong))
    return answer.stdout.strip().splitlines()[0]


def _rootless() -> bool:
    arguments = ["podman", "info", "--format", "{{.Host.Security.Rootless}}"]
    try:
        answer = subprocess.run(arguments, capture_output=True, text=True, timeout=TRIAL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.strip() == "true"


def _import_tiny(engine: OciEngine) -> str:
    if engine.has_image(tiny.IMAGE):
        return ""
    try:
        archive = tiny.root_tar()
    except KeyError as unknown:
        return f"this machine's processor {unknown} is not known"
    with tempfile.TemporaryFile() as file:
        file.write(archive)
        file.seek(0)
        answer = engine.command("import", "-", tiny.IMAGE, stdin=file)
    return "" if answer.returncode == 0 else _last_line(answer.stderr)


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""

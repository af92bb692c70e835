"""One frozen Settings, read once at start, then passed in. docs/settings.md is made from it.

Values come from the command line, else from the environment as FALLOW_<NAME IN CAPITALS>, else from the default. All
mistakes are reported together.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from fallow.core.refusals import Code, Refusal

_ROLES = frozenset(
    (
        "all",
        "door",
        "planner",
        "transitioner",
        "verifier",
        "assimilator",
        "publisher",
        "janitor",
        "notifier",
        "courier",
        "creditor",
    )
)


def _setting(default: object, reason: str) -> Any:
    return field(default=default, metadata={"reason": reason})


def _secret(reason: str) -> Any:
    """Is never shown."""
    return field(default="", repr=False, metadata={"reason": reason})


@dataclass(frozen=True, slots=True)
class Settings:
    """How one server behaves."""

    data_dir: Path = _setting(Path("fallow-data"), "Rows, bytes, keys and logs of the embedded default live here.")
    listen: str = _setting("127.0.0.1:8420", "HOST:PORT of the door. Loopback, so that a first start exposes nothing.")
    public_url: str = _setting("", "How others reach the door, for signed URLs. Empty: http:// and `listen`.")
    database: str = _setting("", "postgresql://... for many machines. Empty: SQLite in the data directory.")
    objects: str = _setting("", "s3://bucket/prefix for many machines. Empty: files in the data directory.")
    roles: str = _setting(
        "all",
        "Comma-separated roles of this process: door, planner, verifier, assimilator, publisher, janitor, "
        "notifier, courier, creditor.",
    )
    allowed_roots: tuple[Path, ...] = _setting(
        (), "Directories that file: inputs and outputs may be under. Empty: none."
    )
    allow_private_addresses: bool = _setting(False, "Let the server fetch http(s) inputs from private addresses.")
    allow_exec_plugins: bool = _setting(False, "Let jobs name executables as plug-ins (they run as the server).")
    allow_process_jobs: bool = _setting(False, "Take jobs without an image, for workers that allow bare commands.")
    open: bool = _setting(False, "The seed's three GETs answer without a key. For demonstrations.")
    heartbeat_seconds: float = _setting(10.0, "How often a worker says what it holds.")
    silence_seconds: float = _setting(60.0, "A worker that was not heard of for so long has lost its leases.")
    retry_same_seconds: float = _setting(60.0, "After so long a failed chunk may go to a worker that failed it before.")
    inline_bytes_max: int = _setting(32 * 1024, "Artifacts up to this size travel inside the report.")
    url_seconds: int = _setting(24 * 3600, "How long a signed URL opens its object.")
    plan_ahead: int = _setting(20_000, "Chunks that wait at most; the planner of a larger job pauses.")
    open_ahead: int = _setting(256, "Planned chunks are opened in steps of so many.")
    client_seconds: float = _setting(60.0, "A client that stops or drips for so long in a request is cut off.")
    request_bytes_max: int = _setting(16 * 1024 * 1024, "Largest JSON request. Uploads are not JSON.")
    batch_lines_max: int = _setting(50_000, "Requests of one batch file; each costs the planner 100 bytes of memory.")
    batch_file_bytes_max: int = _setting(200 * 1024 * 1024, "Largest batch file that is run.")
    batches_open_max: int = _setting(1000, "Batches of one account that are not finished; more are told to wait.")
    file_redirect_bytes: int = _setting(
        0, "Files so large are read from the object store by a signed URL, not through the door. 0: none."
    )
    upload_bytes_max: int = _setting(64 * 1024**3, "Largest uploaded input.")
    reserve_bytes: int = _setting(256 * 1024 * 1024, "Disk space kept free: uploads are refused before it is gone.")
    verifier_threads: int = _setting(2, "Artifacts are read and compared by so many threads.")
    role_seconds: float = _setting(0.5, "How long an idle role waits before it looks for work again.")
    claim_seconds: float = _setting(20.0, "A role that dies gives up its claims after so long.")
    log_format: str = _setting("", "text or json. Empty: text on a terminal, else json.")
    log_level: str = _setting("info", "debug, info or warning. debug: every request and every move of every chunk.")
    metrics_listen: str = _setting("", "HOST:PORT of a /metrics beside the door's. For processes that have no door.")
    traces: str = _setting("", "OTLP/HTTP endpoint for traces, such as http://127.0.0.1:4318. Empty: none.")
    traces_ratio: float = _setting(1.0, "Of how many chunks traces are sent: 0.01 is one in a hundred.")
    retention_seconds: int = _setting(30 * 24 * 3600, "Artifacts of a finished job are kept so long.")
    share_half_life_seconds: int = _setting(
        24 * 3600, "What an account has used of the fleet counts half after so long, when shares are compared."
    )
    session_idle_seconds: int = _setting(12 * 3600, "A browser that was not used for so long must sign in again.")
    session_seconds: int = _setting(14 * 24 * 3600, "Every browser must sign in again after so long.")
    oidc_issuer: str = _setting("", "https://... of an OpenID Connect provider that people may sign in with.")
    oidc_client_id: str = _setting("", "What that provider calls this server.")
    oidc_client_secret: str = _secret("What this server says to that provider. Empty: a public client.")
    oidc_name: str = _setting("single sign-on", "What the button on /sign-in calls that provider.")
    smtp_url: str = _secret(
        "The mail relay: smtps://user:password@host:465, smtp://user:password@host:587 (STARTTLS), or "
        "smtp+plain://host:25 for a relay beside the server. Empty: no mail."
    )
    smtp_from: str = _setting("", "The address that mail comes from, such as fallow@example.org.")
    smtp_ca: str = _setting("", "A PEM file with the authorities of the relay's certificate. Empty: the system's.")
    mail_batch_seconds: float = _setting(60.0, "Notices of so long go out in one letter.")
    send_seconds: float = _setting(10.0, "How long one try to deliver mail or a webhook may take.")
    delivery_retry_seconds: float = _setting(10.0, "After a first failed try; then 3, 12, 60 ... 4,320 times as long.")
    courier_threads: int = _setting(2, "So many webhooks are called at once; one that is slow blocks one thread.")
    attention_seconds: float = _setting(600.0, "A job that nobody can take for so long needs attention.")
    worker_silent_seconds: float = _setting(600.0, "A worker's owner is told after so long without a word.")
    disk_low_bytes: int = _setting(2 * 1024**3, "Operators are told when the data directory has less room. 0: never.")
    boinc: bool = _setting(True, "Serve BOINC clients and BOINC's submit calls under /boinc.")
    boinc_name: str = _setting("fallow", "What volunteers see as the project's name.")
    boinc_sign_up: bool = _setting(False, "Strangers may make an account from their BOINC client; it may only compute.")
    boinc_own_only: bool = _setting(
        False, "BOINC clients get jobs of their own account only, even of jobs that are for volunteers."
    )
    boinc_call_seconds: float = _setting(7.0, "A BOINC client waits at least so long between two calls.")
    boinc_poll_seconds: float = _setting(60.0, "A BOINC client calls after so long even with nothing to say.")
    boinc_task_seconds: float = _setting(
        300.0, "Chunks go to BOINC clients in bundles of about so much work: each task costs a client a second."
    )
    boinc_task_chunks_max: int = _setting(64, "Chunks in one bundle at most.")
    boinc_tasks_per_call_max: int = _setting(10, "Bundles for each processor in one call at most.")
    boinc_daily_tasks: int = _setting(
        100, "Bundles a day and processor; fewer after failures, more after good answers."
    )
    boinc_no_engine_seconds: float = _setting(
        600.0, "A BOINC client that found no podman or docker rests so long; then twice as long each time, up to a day."
    )
    boinc_deadline_seconds_min: float = _setting(
        3600.0, "A bundle may take so long at least, before it is given again."
    )
    boinc_deadline_seconds_max: float = _setting(7 * 86400.0, "And so long at most.")
    boinc_statistics: bool = _setting(
        True, "Once a day, what volunteers earned is put at /boinc/stats/ for anybody; who is not listed is left out."
    )
    boinc_sign_offline: bool = _setting(
        False, "Only the public half of the key that BOINC clients trust is on the server; see docs/boinc-signing.md."
    )
    oidc_sign_up: bool = _setting(False, "Strangers whom that provider knows get an account, which may submit nothing.")

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.data_dir.resolve()}/fallow.db"

    @property
    def base_url(self) -> str:
        return (self.public_url or f"http://{self.listen}").rstrip("/")


def load_settings(given: Mapping[str, object], environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from options (None: not given) and environment. Raises Refusal SETTING_INVALID naming every mistake."""
    values: dict[str, object] = {}
    mistakes: list[str] = []
    for each in fields(Settings):
        raw = given.get(each.name)
        if raw is None:
            text = environ.get(f"FALLOW_{each.name.upper()}")
            if text is None:
                continue
            raw = text
        try:
            values[each.name] = _parsed(raw, each.default)
        except ValueError as wrong:
            mistakes.append(f"{each.name}: {wrong}")
    unknown = sorted(set(given) - {each.name for each in fields(Settings)})
    mistakes.extend(f"{name}: there is no such setting" for name in unknown)
    if not mistakes:
        settings = Settings(**values)  # type: ignore[arg-type]
        mistakes = list(_contradictions(settings))
        if not mistakes:
            return settings
    raise Refusal(Code.SETTING_INVALID, "; ".join(mistakes) + ".", "See docs/settings.md.")


def _parsed(raw: object, default: object) -> object:
    if not isinstance(raw, str):
        return raw
    if isinstance(default, bool):
        if raw.lower() in ("1", "true", "yes", "on"):
            return True
        if raw.lower() in ("0", "false", "no", "off", ""):
            return False
        raise ValueError(f"{raw!r} is neither true nor false")
    if isinstance(default, int):
        return int(raw)
    if isinstance(default, float):
        return float(raw)
    if isinstance(default, Path):
        return Path(raw)
    if isinstance(default, tuple):
        return tuple(Path(part) for part in raw.split(os.pathsep) if part)
    return raw


def _contradictions(settings: Settings) -> list[str]:
    found = []
    host, _, port = settings.listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        found.append(f"listen: {settings.listen!r} is not HOST:PORT")
    if settings.database and not settings.database.startswith(("postgresql://", "postgres://", "sqlite:")):
        found.append("database: only postgresql:// and sqlite: are known")
    if settings.objects and not settings.objects.startswith(("s3://", "file:")):
        found.append("objects: only s3:// and file: are known")
    if settings.silence_seconds < 2 * settings.heartbeat_seconds:
        found.append("silence_seconds: must be at least twice heartbeat_seconds")
    if settings.log_format not in ("", "text", "json"):
        found.append(f"log_format: {settings.log_format!r} is neither text nor json")
    if settings.log_level not in ("debug", "info", "warning"):
        found.append(f"log_level: {settings.log_level!r} is none of debug, info, warning")
    if settings.metrics_listen and not settings.metrics_listen.rpartition(":")[2].isdigit():
        found.append(f"metrics_listen: {settings.metrics_listen!r} is not HOST:PORT")
    if settings.traces and not settings.traces.startswith(("http://", "https://")):
        found.append("traces: only http:// and https:// are known")
    if not 0 <= settings.traces_ratio <= 1:
        found.append("traces_ratio: must be from 0 to 1")
    found.extend(_contradictions_of_people(settings))
    found += _mail_mistakes(settings)
    wrong = sorted({role.strip() for role in settings.roles.split(",")} - _ROLES)
    if wrong:
        found.append(f"roles: {', '.join(wrong)} unknown; there are {', '.join(sorted(_ROLES))}")
    return found


def _contradictions_of_people(settings: Settings) -> list[str]:
    found = []
    if settings.oidc_issuer and not settings.oidc_client_id:
        found.append("oidc_client_id: is needed with oidc_issuer")
    loopback = ("http://127.0.0.1:", "http://localhost:")
    if settings.oidc_issuer and not settings.oidc_issuer.startswith(("https://", *loopback)):
        found.append("oidc_issuer: must be https://")
    for name in ("share_half_life_seconds", "session_idle_seconds", "session_seconds"):
        if getattr(settings, name) < 1:
            found.append(f"{name}: must be at least 1")
    return found


def _mail_mistakes(settings: Settings) -> list[str]:
    found = []
    if settings.smtp_url:
        scheme, _, rest = settings.smtp_url.partition("://")
        if scheme not in ("smtp", "smtps", "smtp+plain") or not rest:
            found.append("smtp_url: must be smtp://, smtps:// or smtp+plain://")
        if scheme == "smtp+plain" and "@" in rest:
            found.append("smtp_url: a password is not sent without TLS; use smtp:// or smtps://")
        if settings.smtp_from.count("@") != 1 or not settings.smtp_from.isascii() or " " in settings.smtp_from:
            found.append("smtp_from: must be an e-mail address")
    for name in ("send_seconds", "delivery_retry_seconds", "attention_seconds", "worker_silent_seconds"):
        if getattr(settings, name) <= 0:
            found.append(f"{name}: must be more than 0")
    if settings.courier_threads < 1:
        found.append("courier_threads: must be at least 1")
    return found


def page() -> str:
    """docs/settings.md."""
    rows = "".join(
        f"| `{each.name}` | `{_shown(each.default)}` | {each.metadata['reason']} |\n" for each in fields(Settings)
    )
    return _PAGE + rows


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, tuple):
        return os.pathsep.join(map(str, default)) or " "
    return str(default) or " "


_PAGE = """<!-- Made by `python -m fallow.settings`; a test fails when it is stale. -->
# Settings of a server

Each is an option of `fallow server` where that has one, else the variable `FALLOW_` and its name in capitals;
lists of directories are separated as in `PATH`. All mistakes are reported together, before anything starts.

| setting | default | why |
|---|---|---|
"""


if __name__ == "__main__":
    import sys

    sys.stdout.write(page())

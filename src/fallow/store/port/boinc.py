"""Rows of the BOINC door: users, teams, keys of machines, hosts, results, reputation, credit, the runner's versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fallow.core.words import AttemptId, AttemptState, ChunkId, JobKey, Micros, WorkerId
from fallow.store.port.work import ChunkRef, Leased


@dataclass(frozen=True, slots=True)
class Earned:
    """Credit in cobblestones (200 a day for a machine of 1 GFLOPS). average: a day's worth, fading, as of `at`."""

    total: float = 0.0
    average: float = 0.0
    at: Micros = Micros(0)


@dataclass(frozen=True, slots=True)
class BoincUserRow:
    """An account as BOINC's clients know it. password: argon2id over BOINC's password hash; None: it cannot
    be looked up."""

    user_id: int
    account_id: str
    key_sha256: str
    key_version: int
    cpid: str
    created_at: Micros
    password: str | None = None
    team_id: int | None = None
    listed: bool = True
    earned: Earned = Earned()


@dataclass(frozen=True, slots=True)
class TeamRow:
    """account_id: who founded it. name_key: the name as it is compared."""

    team_id: int
    name: str
    name_key: str
    account_id: str
    created_at: Micros
    earned: Earned = Earned()


@dataclass(frozen=True, slots=True)
class TeamMembers:
    """A team, how many are in it, and who founded it when that one is listed (else None and "")."""

    team: TeamRow
    members: int
    founder_id: int | None
    founder_name: str


@dataclass(frozen=True, slots=True)
class WorkerKeyRow:
    """A key that is good for one machine. host_id: the one that used it first."""

    key_id: str
    key_sha256: str
    account_id: str
    name: str
    created_at: Micros
    host_id: int | None = None
    revoked_at: Micros | None = None


@dataclass(frozen=True, slots=True)
class HostRow:
    """A BOINC client. See the schema for each column. facts: JSON of core.volunteers.HostFacts."""

    host_id: int
    worker_id: WorkerId
    account_id: str
    generation: int
    cpid: str
    likeness: str
    rpc_seqno: int
    rpc_at: Micros
    created_at: Micros
    facts: str
    venue: str = ""
    merged_into: int | None = None
    label_said: str | None = None
    label_set: str | None = None
    label_at: Micros = Micros(0)
    no_engine_count: int = 0
    no_engine_until: Micros = Micros(0)
    earned: Earned = Earned()


@dataclass(frozen=True, slots=True)
class BoincResultRow:
    """What a client was sent as one task: attempts of one job."""

    result_id: int
    host_id: int
    worker_id: WorkerId
    job_key: JobKey
    attempts: tuple[AttemptId, ...]
    sent_at: Micros
    deadline: Micros
    seconds_estimated: float
    over_at: Micros | None = None
    exit_status: int | None = None
    client_state: int | None = None
    elapsed_seconds: float = 0.0

    @property
    def is_over(self) -> bool:
        return self.over_at is not None


@dataclass(frozen=True, slots=True)
class TaskChunk:
    """An attempt of a result, with its chunk. state, worker_id: of the attempt now."""

    leased: Leased
    state: AttemptState
    worker_id: WorkerId | None


@dataclass(frozen=True, slots=True)
class ReputationRow:
    """How a worker has done with one image. quota: results a day and core, as of now. day: days since 1970."""

    worker_id: WorkerId
    image: str
    quota: int
    valid: int = 0
    invalid: int = 0
    errored: int = 0
    valid_in_row: int = 0
    day: int = 0
    sent_today: int = 0
    seconds_per_item: float = 0.0
    turnaround_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """A volunteer's attempt that came to an end, with what judging it needs. event: of core.lifecycle.AttemptEvent.
    envelope: the signed receipt of an answer that agreed, else b"". answers_wanted: of its chunk."""

    verdict_id: int
    attempt_id: AttemptId
    event: str
    job_key: JobKey
    chunk_id: ChunkId
    worker_id: WorkerId
    failure_class: str
    item_count: int
    cpu_seconds: float
    leased_at: Micros
    over_at: Micros
    envelope: bytes = b""
    answers_wanted: int = 1


@dataclass(frozen=True, slots=True)
class CreditRow:
    attempt_id: AttemptId
    job_key: JobKey
    worker_id: WorkerId
    account_id: str
    at: Micros
    claimed: float
    granted: float


@dataclass(frozen=True, slots=True)
class AppVersionRow:
    """One version of the runner for one platform. signature: hexadecimal, "" until somebody signs it."""

    platform: str
    plan_class: str
    version_num: int
    file_name: str
    artifact_key: str
    sha256: str
    md5: str
    size_bytes: int
    created_at: Micros
    signature: str = ""


class BoincTx(Protocol):
    """The verbs of the BOINC door."""

    # users, teams, keys of machines
    def add_boinc_user(self, account_id: str, key_sha256: str, cpid: str, now: Micros) -> BoincUserRow:
        """Makes the account a BOINC user, or gives what it is already."""
        ...

    def boinc_user(self, account_id: str) -> BoincUserRow | None: ...
    def boinc_user_by_id(self, user_id: int) -> BoincUserRow | None: ...
    def boinc_user_by_key(self, key_sha256: str) -> BoincUserRow | None: ...
    def save_boinc_user(self, row: BoincUserRow) -> None:
        """key_sha256, key_version, password, team_id and listed."""
        ...

    def set_standing(self, user_id: int, team_id: int | None, listed: bool) -> None:
        """Nothing but these: somebody may be making another key at the same moment."""
        ...

    def add_team(self, name: str, name_key: str, account_id: str, now: Micros) -> TeamRow | None:
        """None when there is one of that name."""
        ...

    def team(self, team_id: int) -> TeamRow | None: ...
    def team_by_name(self, name_key: str) -> TeamRow | None: ...
    def add_worker_key(self, row: WorkerKeyRow) -> None: ...
    def worker_key(self, key_sha256: str) -> WorkerKeyRow | None: ...
    def worker_keys(self, account_id: str) -> list[WorkerKeyRow]:
        """Oldest first."""
        ...

    def bind_worker_key(self, key_id: str, host_id: int) -> bool:
        """False when another host has it."""
        ...

    def revoke_worker_key(self, account_id: str, key_id: str, now: Micros) -> bool: ...

    # hosts
    def add_host(self, row: HostRow) -> HostRow:
        """host_id and worker_id of the row are ignored: the row comes back with the ones it was given."""
        ...

    def host(self, host_id: int) -> HostRow | None: ...
    def held_host(self, host_id: int) -> HostRow | None:
        """Nobody else changes it until the transaction ends. Hosts are held before chunks, attempts and jobs."""
        ...

    def hosts_by_id(self, host_ids: Sequence[int]) -> list[HostRow]:
        """Those that there are, by number."""
        ...

    def host_of_worker(self, worker_id: WorkerId) -> HostRow | None:
        """Also of a worker that it was before: what it is now is in the row."""
        ...

    def hosts_like(self, account_id: str, cpid: str) -> list[HostRow]:
        """The account's hosts of that cross-project id that are not merged, newest first."""
        ...

    def hosts_of(self, account_id: str, limit: int) -> list[HostRow]:
        """Of an account, not merged, newest first."""
        ...

    def save_host(self, row: HostRow) -> None:
        """All but account_id, created_at, label_set and what it earned."""
        ...

    def set_host_label(self, host_id: int, label: str | None, now: Micros) -> None:
        """What an operator calls it; None: nothing any more."""
        ...

    def touch_host(self, host_id: int, rpc_seqno: int, now: Micros) -> None:
        """It called, and nothing else changed."""
        ...

    # results
    def add_result(
        self,
        host_id: int,
        worker_id: WorkerId,
        job_key: JobKey,
        attempts: Sequence[AttemptId],
        now: Micros,
        deadline: Micros,
        seconds_estimated: float,
    ) -> int:
        """The new result's number."""
        ...

    def add_results(self, rows: Sequence[BoincResultRow]) -> list[BoincResultRow]:
        """In one statement. result_id is ignored: the rows come back with their numbers, in the same order."""
        ...

    def boinc_result(self, result_id: int) -> BoincResultRow | None: ...
    def boinc_results(self, result_ids: Sequence[int]) -> dict[int, BoincResultRow]:
        """Those of them that there are, by number."""
        ...

    def results_sent(self, host_id: int) -> list[BoincResultRow]:
        """That are not over, oldest first."""
        ...

    def end_results(self, rows: Sequence[BoincResultRow]) -> None:
        """These are over: over_at, exit_status, client_state, elapsed_seconds."""
        ...

    def move_deadline(self, result_id: int, deadline: Micros) -> None: ...
    def task_chunks(self, attempts: Sequence[AttemptId]) -> list[TaskChunk]:
        """By number; those that are gone are left out."""
        ...

    # what clients uploaded
    def keep_upload(self, result_id: int, data: bytes) -> bool:
        """In place of what was there. False, and nothing kept, when the result is not out."""
        ...

    def answer_upload(self, result_id: int) -> bytes | None: ...
    def answer_uploads(self, result_ids: Sequence[int]) -> dict[int, bytes]:
        """Those of them that are rows, by result."""
        ...

    def forget_uploads(self, result_ids: Sequence[int]) -> None: ...
    def sweep_uploads(self, limit: int) -> int:
        """Removes those of results that are over or gone; how many."""
        ...

    def forget_results(self, before: Micros, limit: int) -> int:
        """Removes results that were over before then."""
        ...

    # reputation and credit
    def reputations(self, worker_id: WorkerId) -> list[ReputationRow]: ...
    def reputations_of(self, worker_ids: Sequence[WorkerId]) -> list[ReputationRow]: ...
    def save_reputation(self, row: ReputationRow) -> None:
        """day and sent_today stay as they are where there is a row: count_sent() counts them."""
        ...

    def save_reputations(self, rows: Sequence[ReputationRow]) -> None:
        """The same, in one statement; never two rows of one worker and image."""
        ...

    def count_sent(self, worker_id: WorkerId, image: str, day: int, count: int, quota: int) -> None:
        """So many more results were sent today; the row is made with this quota where there is none."""
        ...

    def has_verdicts(self) -> bool: ...
    def verdicts(self, limit: int) -> list[VerdictRow]:
        """Oldest first, this transaction's until its end; none while another transaction has some. Those whose job is
        gone are forgotten."""
        ...

    def forget_verdicts(self, verdict_ids: Sequence[int]) -> None: ...
    def grant_credit(self, rows: Sequence[CreditRow], half_life_seconds: float) -> None:
        """Writes the rows (an attempt that has one keeps it) and adds the new ones to the totals and averages of hosts,
        users and teams, each of which is written once."""
        ...

    def credit_of_chunk(self, job_key: JobKey, chunk_id: ChunkId) -> list[CreditRow]: ...
    def granted_in(self, refs: Sequence[ChunkRef]) -> dict[ChunkRef, float]:
        """What each attempt of these chunks was granted; chunks of which none was are left out."""
        ...

    def user_leaders(self, limit: int) -> list[tuple[BoincUserRow, str]]:
        """(user, name) of those that are listed and have earned something, best average first."""
        ...

    def team_leaders(self, limit: int) -> list[TeamRow]:
        """Those that have earned something, best average first."""
        ...

    def listed_users(self, after: int, limit: int) -> list[tuple[BoincUserRow, str, str | None]]:
        """(user, name, e-mail) by number, of those that are listed and have earned something."""
        ...

    def listed_hosts(self, after: int, limit: int) -> list[tuple[HostRow, int]]:
        """(host, user's number) by number: hosts of such users that have earned something."""
        ...

    def teams_after(self, after: int, limit: int) -> list[TeamMembers]:
        """By number, those that have earned something."""
        ...

    def fade_averages(self, whose: str, after: int, limit: int, now: Micros, half_life_seconds: float) -> int | None:
        """Averages that are a day old become today's; what is as good as nothing becomes nothing. whose: "hosts",
        "users" or "teams". Up to `limit` of them by number, from `after` on; the last one's number, None at the end."""
        ...

    # classes of machines
    def chunk_classes(self, job_key: JobKey, chunk_ids: Sequence[ChunkId]) -> dict[ChunkId, str]: ...
    def set_chunk_class(self, job_key: JobKey, chunk_ids: Sequence[ChunkId], name: str) -> None:
        """name "": they may go to any class again."""
        ...

    # the runner's versions
    def add_app_version(self, row: AppVersionRow) -> bool:
        """False when there is one of that number, or other bytes under its file's name."""
        ...

    def app_versions(self) -> list[AppVersionRow]:
        """Newest first."""
        ...

    def sign_app_version(self, file_name: str, signature: str) -> bool:
        """False when there is no such file."""
        ...

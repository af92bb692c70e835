"""The BOINC door's people: users, teams, keys of machines, and the runner's versions."""

from dataclasses import asdict

from fallow.core.words import Micros
from fallow.store.port import AppVersionRow, BoincUserRow, Earned, TeamRow, WorkerKeyRow
from fallow.store.rows import storable
from fallow.store.session import Row
from fallow.store.verbs.base import Verbs

USER_WIDTH, TEAM_WIDTH = 12, 8  # columns


class BoincPeopleVerbs(Verbs):
    def add_boinc_user(self, account_id: str, key_sha256: str, cpid: str, now: Micros) -> BoincUserRow:
        params = {"account_id": account_id, "key_sha256": key_sha256, "cpid": cpid, "now": now}
        self.session.run("add_boinc_user", params)
        found = self.boinc_user(account_id)
        assert found is not None
        return found

    def boinc_user(self, account_id: str) -> BoincUserRow | None:
        return _user(self.session.one("boinc_user", {"account_id": account_id}))

    def boinc_user_by_id(self, user_id: int) -> BoincUserRow | None:
        return _user(self.session.one("boinc_user_by_id", {"user_id": user_id}))

    def boinc_user_by_key(self, key_sha256: str) -> BoincUserRow | None:
        return _user(self.session.one("boinc_user_by_key", {"key_sha256": key_sha256}))

    def save_boinc_user(self, row: BoincUserRow) -> None:
        params = {
            "user_id": row.user_id,
            "key_sha256": row.key_sha256,
            "key_version": row.key_version,
            "password": row.password,
            "team_id": row.team_id,
            "listed": int(row.listed),
        }
        self.session.run("save_boinc_user", params)

    def set_standing(self, user_id: int, team_id: int | None, listed: bool) -> None:
        self.session.run("set_standing", {"user_id": user_id, "team_id": team_id, "listed": int(listed)})

    def add_team(self, name: str, name_key: str, account_id: str, now: Micros) -> TeamRow | None:
        params = {"name": storable(name), "name_key": storable(name_key), "account_id": account_id, "now": now}
        row = self.session.one("add_team", params)
        return None if row is None else self.team(row[0])

    def team(self, team_id: int) -> TeamRow | None:
        row = self.session.one("team", {"team_id": team_id})
        return None if row is None else team_of(row)

    def team_by_name(self, name_key: str) -> TeamRow | None:
        row = self.session.one("team_by_name", {"name_key": storable(name_key)})
        return None if row is None else team_of(row)

    def add_worker_key(self, row: WorkerKeyRow) -> None:
        self.session.run("add_worker_key", {**asdict(row), "name": storable(row.name)})

    def worker_key(self, key_sha256: str) -> WorkerKeyRow | None:
        row = self.session.one("worker_key", {"key_sha256": key_sha256})
        return None if row is None else WorkerKeyRow(*row)

    def worker_keys(self, account_id: str) -> list[WorkerKeyRow]:
        return [WorkerKeyRow(*row) for row in self.session.all("worker_keys", {"account_id": account_id})]

    def bind_worker_key(self, key_id: str, host_id: int) -> bool:
        return self.session.run("bind_worker_key", {"key_id": key_id, "host_id": host_id}) > 0

    def revoke_worker_key(self, account_id: str, key_id: str, now: Micros) -> bool:
        params = {"account_id": account_id, "key_id": key_id, "now": now}
        return self.session.run("revoke_worker_key", params) > 0

    def add_app_version(self, row: AppVersionRow) -> bool:
        return self.session.run("add_app_version", asdict(row)) > 0

    def app_versions(self) -> list[AppVersionRow]:
        return [AppVersionRow(*row) for row in self.session.all("app_versions", {})]

    def sign_app_version(self, file_name: str, signature: str) -> bool:
        return self.session.run("sign_app_version", {"file_name": file_name, "signature": signature}) > 0


def _user(row: Row | None) -> BoincUserRow | None:
    return None if row is None else user_of(row)


def user_of(row: Row) -> BoincUserRow:
    values: Row = (*row[:8], bool(row[8]), Earned(*row[9:USER_WIDTH]))
    return BoincUserRow(*values)


def team_of(row: Row) -> TeamRow:
    values: Row = (*row[:5], Earned(*row[5:TEAM_WIDTH]))
    return TeamRow(*values)

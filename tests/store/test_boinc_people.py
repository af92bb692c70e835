"""BOINC users, teams, keys of machines and the runner's versions, on both databases."""

from dataclasses import replace

from fallow.core.words import Micros
from fallow.store.port import AppVersionRow, Store, WorkerKeyRow
from tests.store.yard import SECOND, T0, Yard

LATER = Micros(T0 + 60 * SECOND)
VERSION = AppVersionRow("x86_64-pc-linux-gnu", "docker", 101, "runner_101", "boinc/app/1", "ab" * 32, "cd" * 16, 9, T0)


def key(number: int, account: str = "acme") -> WorkerKeyRow:
    return WorkerKeyRow(f"k-{number}", f"{number:064x}", account, "desk", Micros(T0 + number))


def test_an_account_becomes_a_boinc_user_once(yard: Yard) -> None:
    with yard.store.transaction() as tx:
        tx.add_account("other", "Other", T0)
        user = tx.add_boinc_user("acme", "a" * 64, "b" * 32, T0)
        assert tx.add_boinc_user("acme", "c" * 64, "d" * 32, LATER) == user
        other = tx.add_boinc_user("other", "c" * 64, "d" * 32, LATER)
        assert (user.account_id, user.key_sha256, user.key_version, user.cpid) == ("acme", "a" * 64, 1, "b" * 32)
        assert (user.created_at, user.password, user.team_id, user.listed) == (T0, None, None, True)
        assert other.user_id != user.user_id
        assert tx.boinc_user("acme") == tx.boinc_user_by_id(user.user_id) == tx.boinc_user_by_key("a" * 64) == user
        assert tx.boinc_user("nobody") is tx.boinc_user_by_id(99) is tx.boinc_user_by_key("e" * 64) is None


def test_a_user_changes_key_team_password_and_wish_to_be_seen(yard: Yard) -> None:
    with yard.store.transaction() as tx:
        user = tx.add_boinc_user("acme", "a" * 64, "b" * 32, T0)
        team = tx.add_team("Night Owls", "night owls", "acme", T0)
        assert team is not None
        changed = replace(
            user, key_sha256="f" * 64, key_version=2, password="argon", team_id=team.team_id, listed=False
        )
        tx.save_boinc_user(changed)
        assert tx.boinc_user("acme") == changed
        assert tx.boinc_user_by_key("a" * 64) is None
        tx.set_standing(user.user_id, None, True)
        assert tx.boinc_user("acme") == replace(changed, team_id=None, listed=True)


def test_there_is_one_team_of_a_name(yard: Yard) -> None:
    with yard.store.transaction() as tx:
        team = tx.add_team("Night Owls", "night owls", "acme", T0)
        assert team is not None
        assert (team.name, team.account_id, team.created_at) == ("Night Owls", "acme", T0)
        assert tx.add_team("NIGHT OWLS", "night owls", "acme", T0) is None
        assert tx.team(team.team_id) == tx.team_by_name("night owls") == team
        assert tx.team(99) is tx.team_by_name("larks") is None


def test_a_machines_key_belongs_to_the_first_host_that_uses_it(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_account("acme", "Acme", T0)
        tx.add_account("other", "Other", T0)
        for number in (2, 1):
            tx.add_worker_key(key(number))
        tx.add_worker_key(key(3, "other"))
        assert tx.worker_key(key(1).key_sha256) == key(1)
        assert tx.worker_key("f" * 64) is None
        assert [each.key_id for each in tx.worker_keys("acme")] == ["k-1", "k-2"]
        assert tx.bind_worker_key("k-1", 7)
        assert tx.bind_worker_key("k-1", 7)
        assert not tx.bind_worker_key("k-1", 8)
        assert not tx.bind_worker_key("k-9", 7)
        assert tx.worker_key(key(1).key_sha256) == replace(key(1), host_id=7)


def test_a_revoked_machines_key_stays_revoked(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_account("acme", "Acme", T0)
        tx.add_worker_key(key(1))
        assert not tx.revoke_worker_key("other", "k-1", LATER), "somebody else's"
        assert tx.revoke_worker_key("acme", "k-1", LATER)
        assert not tx.revoke_worker_key("acme", "k-1", Micros(LATER + 1))
        assert tx.worker_key(key(1).key_sha256) == replace(key(1), revoked_at=LATER)
        assert not tx.bind_worker_key("k-1", 7)


def test_there_are_never_two_contents_under_one_version_or_name(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.add_app_version(VERSION)
        assert not tx.add_app_version(VERSION), "that number is taken"
        assert not tx.add_app_version(replace(VERSION, file_name="other"))
        arm = replace(VERSION, platform="aarch64-unknown-linux-gnu")
        assert not tx.add_app_version(replace(arm, sha256="ef" * 32)), "that name is taken"
        assert tx.add_app_version(arm), "one file may do for two platforms"
        newer = replace(VERSION, version_num=102, file_name="runner_102", created_at=LATER)
        assert tx.add_app_version(newer)
        assert tx.app_versions() == [newer, arm, VERSION]
        assert tx.sign_app_version("runner_101", "00ff")
        assert not tx.sign_app_version("runner_1", "00ff")
        assert {each.version_num: each.signature for each in tx.app_versions()} == {102: "", 101: "00ff"}

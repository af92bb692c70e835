"""All that is about people, put together."""

from dataclasses import dataclass

from fallow.clock import Clock
from fallow.control.accounts import Accounts
from fallow.control.boinc.host_list import BoincHosts
from fallow.control.boinc.sign_up import BoincAccounts
from fallow.control.boinc.users import BoincUsers
from fallow.control.boinc.worker_keys import WorkerKeys
from fallow.control.callers import Keys
from fallow.control.entrance import Entrance
from fallow.control.grants import Grants
from fallow.control.passwords import Passwords
from fallow.control.sessions import Sessions
from fallow.control.tries import Tries
from fallow.settings import Settings
from fallow.store.port import Store


@dataclass(frozen=True, slots=True)
class People:
    """secret: of the installation; behind password links, BOINC keys and what a browser keeps while it is at an
    identity provider."""

    accounts: Accounts
    sessions: Sessions
    entrance: Entrance
    grants: Grants
    boinc_users: BoincUsers
    boinc_accounts: BoincAccounts
    worker_keys: WorkerKeys
    boinc_hosts: BoincHosts
    secret: bytes


def people_of(store: Store, clock: Clock, keys: Keys, settings: Settings, secret: bytes) -> People:
    """Everything over the same rows."""
    passwords, tries = Passwords(), Tries(store, clock)
    sessions = Sessions(store, clock, settings)
    boinc = BoincUsers(store, clock, passwords, secret)
    return People(
        accounts=Accounts(store, clock, passwords, tries, secret, settings.base_url, boinc),
        sessions=sessions,
        entrance=Entrance(store, clock, keys, passwords, sessions, tries, settings, boinc),
        grants=Grants(store, clock),
        boinc_users=boinc,
        boinc_accounts=BoincAccounts(store, clock, boinc, passwords, tries, settings),
        worker_keys=WorkerKeys(store, clock, boinc),
        boinc_hosts=BoincHosts(store, clock),
        secret=secret,
    )

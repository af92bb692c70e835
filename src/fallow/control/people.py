"""All that is about people, put together."""

from dataclasses import dataclass

from fallow.clock import Clock
from fallow.control.accounts import Accounts
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
    """secret: of the installation; behind password links and what a browser keeps while it is at an identity
    provider."""

    accounts: Accounts
    sessions: Sessions
    entrance: Entrance
    grants: Grants
    secret: bytes


def people_of(store: Store, clock: Clock, keys: Keys, settings: Settings, secret: bytes) -> People:
    """Everything over the same rows."""
    passwords, tries = Passwords(), Tries(store, clock)
    sessions = Sessions(store, clock, settings)
    return People(
        accounts=Accounts(store, clock, passwords, tries, secret, settings.base_url),
        sessions=sessions,
        entrance=Entrance(store, clock, keys, passwords, sessions, tries, settings),
        grants=Grants(store, clock),
        secret=secret,
    )

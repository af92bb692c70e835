"""Rights to submit: for all applications, for those granted, or for none.

Source: BOINC's pages let operators grant job-submission privileges to users, for particular applications or for all.
"""

from typing import Final

from fallow.clock import Clock
from fallow.control.callers import Caller
from fallow.core.people import one_line
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Scope
from fallow.store.port import AccountRow, GrantRow, Store, SubmitRight, Tx

_APPLICATION_MAX: Final = 256
_ASK: Final = "Ask an operator of this server to grant it: on the page /people, or with fallow account grant."


class Grants:
    """Operators give and take; everybody sees their own."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def listed(self, caller: Caller, account_id: str) -> list[GrantRow]:
        """Raises Refusal NOT_FOUND, also for other people's."""
        with self._store.reading() as tx:
            _account(tx, caller, account_id)
            return tx.grants(account_id)

    def of_all(self, caller: Caller) -> list[GrantRow]:
        """Everybody's, for operators."""
        caller.needs(Scope.OPERATE)
        with self._store.reading() as tx:
            return tx.grants()

    def grant(self, caller: Caller, account_id: str, application: str) -> None:
        """An account that could submit for nothing may submit for this now. Raises Refusal NOT_FOUND or BAD_REQUEST."""
        caller.needs(Scope.OPERATE)
        checked = _checked(application)
        with self._store.transaction() as tx:
            _account(tx, caller, account_id)
            tx.add_grant(GrantRow(account_id, checked, caller.by, self._clock.now()))

    def revoke(self, caller: Caller, account_id: str, application: str) -> None:
        """Raises Refusal NOT_FOUND."""
        caller.needs(Scope.OPERATE)
        with self._store.transaction() as tx:
            _account(tx, caller, account_id)
            if not tx.remove_grant(account_id, application):
                raise Refusal(
                    Code.NOT_FOUND, f"{account_id} has no grant for {one_line(application, 100)!r}.", "See /people."
                )


class Rights:
    """Whether somebody may submit for an application. Operators may always."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def check(self, caller: Caller, application: str, *, is_model: bool = False) -> None:
        """is_model: the job names a model. A grant of a model's name is for the model, and for no image of that name,
        which anybody may have made. Raises Refusal FORBIDDEN, which names the application."""
        if caller.sees_all:
            return
        with self._store.reading() as tx:
            account = tx.account(caller.account_id)
            right = account.submit_right if account else SubmitRight.NONE
            granted = right is SubmitRight.ALL or (
                right is SubmitRight.GRANTED
                and any(grant.application == application for grant in tx.grants(caller.account_id))
                and (is_model or tx.model(application) is None)
            )
        if not granted:
            named = one_line(application, 200)
            raise Refusal(
                Code.FORBIDDEN,
                f"The account {caller.account_id} may not submit jobs for the application {named!r}.",
                _ASK,
                {"application": named},
            )


def _account(tx: Tx, caller: Caller, account_id: str) -> AccountRow:
    row = tx.account(account_id)
    if row is None or not (caller.sees_all or caller.account_id == account_id):
        raise Refusal(Code.NOT_FOUND, f"There is no account {one_line(account_id, 64)}.", "See fallow account list.")
    return row


def _checked(application: str) -> str:
    if not application or len(application) > _APPLICATION_MAX or not application.isprintable() or " " in application:
        raise Refusal(
            Code.BAD_REQUEST,
            f"An application's name has up to {_APPLICATION_MAX} printable characters and no space.",
            "Give a model's name, or an image without its tag, such as ghcr.io/org/model.",
            {"field": "application"},
        )
    return application

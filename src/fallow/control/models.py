"""Models: names that an operator binds to what runs, and to the endpoints it serves."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from fallow.clock import Clock
from fallow.control.callers import Caller
from fallow.control.intake import Intake
from fallow.core.job import Image
from fallow.core.refusals import Code, Refusal
from fallow.core.submission import Submission
from fallow.core.words import Scope
from fallow.store.port import ModelRow, Store

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9._:@-]{0,99}){0,3}\Z")
ENDPOINT: Final = re.compile(r"/[A-Za-z0-9._~/-]{1,199}\Z")
_ENDPOINTS_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class Template:
    """job: a job request without an input, as JSON. image: as it was found when the model was added."""

    job: Mapping[str, Any]
    image: Image | None


def template_of(row: ModelRow) -> Template:
    """What the row keeps."""
    return msgspec.json.decode(row.template, type=Template)


class Models:
    """Operators add and remove; everybody with a key may look."""

    def __init__(self, store: Store, intake: Intake, clock: Clock) -> None:
        self._store = store
        self._intake = intake
        self._clock = clock

    def add(
        self,
        caller: Caller,
        name: str,
        endpoints: Sequence[str],
        job: Mapping[str, Any],
        asked: Submission,
        *,
        replace: bool,
    ) -> ModelRow:
        """job: the template; asked: the same, parsed. Its image is looked up now, and stays what it is now.

        Raises Refusal FORBIDDEN, BAD_REQUEST, ALREADY_EXISTS, or what Intake says of the image.
        """
        caller.needs(Scope.OPERATE)
        _check(name, endpoints)
        image = self._intake.check_template(asked)
        row = ModelRow(
            name=name,
            account_id=caller.account_id,
            template=msgspec.json.encode(Template(job, image)).decode(),
            endpoints=tuple(dict.fromkeys(endpoints)),
            created_at=self._clock.now(),
        )
        with self._store.transaction() as tx:
            there = tx.model(name)
            if there is not None and there.disabled_at is None and not replace:
                raise Refusal(
                    Code.ALREADY_EXISTS, f"There is a model {name!r} already.", "Choose another name, or say replace."
                )
            tx.save_model(row)
        return row

    def listed(self, caller: Caller) -> list[ModelRow]:
        """Those that serve, by name."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        with self._store.reading() as tx:
            return tx.models()

    def model(self, caller: Caller, name: str) -> ModelRow:
        """Raises Refusal NOT_FOUND."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        with self._store.reading() as tx:
            return served(tx.model(name), name)

    def remove(self, caller: Caller, name: str) -> None:
        """Takes no more jobs; those that it has keep what they were given. Raises Refusal NOT_FOUND."""
        caller.needs(Scope.OPERATE)
        with self._store.transaction() as tx:
            if not tx.disable_model(name, self._clock.now()):
                raise no_such_model(name)


def served(row: ModelRow | None, name: str) -> ModelRow:
    """The row of a model that serves. Raises Refusal NOT_FOUND."""
    if row is None or row.disabled_at is not None:
        raise no_such_model(name)
    return row


def no_such_model(name: str) -> Refusal:
    return Refusal(Code.NOT_FOUND, f"The model {name[:100]!r} does not exist.", "See the list of models.")


def _check(name: str, endpoints: Sequence[str]) -> None:
    if not NAME.match(name):
        raise Refusal(
            Code.BAD_REQUEST,
            f"{name[:80]!r} cannot name a model.",
            "Use letters, digits and . _ : @ -, in up to four parts joined by slashes.",
            {"field": "name"},
        )
    wrong = next((each for each in endpoints if not ENDPOINT.match(each)), None)
    if wrong is not None or not 1 <= len(endpoints) <= _ENDPOINTS_MAX:
        said = f"{wrong[:80]!r} is no endpoint." if wrong is not None else f"It has {len(endpoints)} endpoints."
        raise Refusal(
            Code.BAD_REQUEST,
            said,
            f"Give 1 to {_ENDPOINTS_MAX} paths such as /v1/chat/completions.",
            {"field": "endpoints"},
        )

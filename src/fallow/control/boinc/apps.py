"""BOINC's applications, as submitters see them: models whose images read and write files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from fallow.control.boinc.job_files import JobFiles
from fallow.control.callers import Caller
from fallow.control.grants import Rights
from fallow.control.models import template_of
from fallow.core.boinc_batches import InputTemplate, OutputTemplate
from fallow.core.refusals import Code, Refusal
from fallow.core.submission import Submission
from fallow.core.words import Contract, Scope
from fallow.store.port import Store

_TEMPLATE_BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Form:
    """What the protocol knows of texts; each raises ValueError or a Refusal. submission: a model's template, parsed."""

    input_template: Callable[[str], InputTemplate]
    output_template: Callable[[str], OutputTemplate]
    submission: Callable[[Mapping[str, object]], Submission]


@dataclass(frozen=True, slots=True)
class App:
    """asked: what each of its jobs asks for, without an input. account_id: who added it."""

    name: str
    account_id: str
    asked: Submission


class Apps:
    """Finds applications and their templates."""

    def __init__(self, store: Store, files: JobFiles, form: Form) -> None:
        self._store = store
        self._files = files
        self._form = form
        self._rights = Rights(store)

    def app(self, caller: Caller, name: str) -> App:
        """One that the caller may submit for. Raises Refusal NOT_FOUND, FORBIDDEN or BAD_REQUEST."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        with self._store.reading() as tx:
            model = tx.model(name)
        if model is None or model.disabled_at is not None:
            raise Refusal(Code.NOT_FOUND, f"app not found: {name[:100]}")
        self._rights.check(caller, name, is_model=True)
        kept = template_of(model)
        asked = self._form.submission(kept.job)
        if asked.contract is not Contract.FILES:
            raise Refusal(
                Code.BAD_REQUEST, f"app {name} takes no jobs with files: its image has the contract {asked.contract}"
            )
        return App(name, model.account_id, replace(asked, model=name, resolved=kept.image))

    def input_template(self, caller: Caller, app: App, named: str) -> tuple[InputTemplate, str]:
        """The template of this name ("": the application's own), and whose it is. Raises Refusal INPUT_MISSING."""
        kept = self._kept(caller, app, named or f"{app.name}_in", "input")
        return self.parsed_input(kept.text, f"file templates/{kept.name}"), kept.account_id

    def output_template(self, caller: Caller, app: App, named: str) -> OutputTemplate:
        kept = self._kept(caller, app, named or f"{app.name}_out", "output")
        return self.parsed_output(kept.text, f"file templates/{kept.name}")

    def texts(self, caller: Caller, app: App) -> tuple[str, str]:
        """Both of the application's own templates, as they were staged."""
        given = self._kept(caller, app, f"{app.name}_in", "input")
        return given.text, self._kept(caller, app, f"{app.name}_out", "output").text

    def parsed_input(self, text: str, what: str) -> InputTemplate:
        """Raises Refusal BAD_REQUEST."""
        try:
            return self._form.input_template(text)
        except ValueError as wrong:
            raise Refusal(Code.BAD_REQUEST, f"couldn't parse input template {what}: {wrong}") from None

    def parsed_output(self, text: str, what: str) -> OutputTemplate:
        """Raises Refusal BAD_REQUEST."""
        try:
            return self._form.output_template(text)
        except ValueError as wrong:
            raise Refusal(Code.BAD_REQUEST, f"couldn't parse output template {what}: {wrong}") from None

    def _kept(self, caller: Caller, app: App, name: str, kind: str) -> "_Kept":
        """Templates are staged files of the submitter, or of who added the application."""
        for account_id in dict.fromkeys((caller.account_id, app.account_id)):
            found = self._files.text(account_id, name, _TEMPLATE_BYTES_MAX)
            if found is not None:
                return _Kept(name, found, account_id)
        raise Refusal(
            Code.INPUT_MISSING, f"couldn't parse {kind} template file templates/{name[:100]}: it is not there"
        )


@dataclass(frozen=True, slots=True)
class _Kept:
    """A staged template."""

    name: str
    text: str
    account_id: str

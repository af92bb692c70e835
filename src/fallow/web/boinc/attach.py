"""How a BOINC client joins: the master page, what the project is, accounts looked up and made.

Keys and password hashes come in query strings, as BOINC's clients send them: nothing here logs a request's query.
Refusals are 200 with BOINC's own error inside: what its clients read.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from fallow.core.people import PASSWORD_MIN
from fallow.core.refusals import Code, Refusal
from fallow.protocols.boinc import accounts as wire
from fallow.protocols.boinc.accounts import ErrorNumber
from fallow.protocols.boinc.master import master_page
from fallow.settings import Settings
from fallow.web.deps import Door, door_of
from fallow.web.streams import SenderGone, bounded_body

_FORM_BYTES_MAX: Final = 16 * 1024
_FIELDS_MAX: Final = 50
_NEVER_KEPT: Final = {"cache-control": "no-store"}
Said = Mapping[str, str]
Answer = Callable[[Door, Said, str], bytes]


def master_url(settings: Settings) -> str:
    """What volunteers attach to."""
    return f"{settings.base_url}/boinc/"


def scheduler_url(settings: Settings) -> str:
    """Where their clients call."""
    return f"{settings.base_url}/boinc/cgi"


def attach_line(settings: Settings, key: str) -> str:
    """The command that attaches a client with this key."""
    return f"boinccmd --project_attach {master_url(settings)} {key}"


def to_master(_request: Request) -> Response:
    """/boinc, as people type it."""
    return RedirectResponse("/boinc/", HTTPStatus.MOVED_PERMANENTLY)


def master(request: Request) -> Response:
    """The page with the scheduler's address."""
    settings = door_of(request).settings
    page = master_page(settings.boinc_name, master_url(settings), scheduler_url(settings))
    return Response(page, media_type="text/html", headers={"cache-control": "no-cache"})


def project_config(request: Request) -> Response:
    """What the project is, as the Manager asks before anything else."""
    door = door_of(request)
    config = wire.ProjectConfig(
        name=door.settings.boinc_name,
        master_url=master_url(door.settings),
        min_passwd_length=PASSWORD_MIN,
        no_sign_up=not door.settings.boinc_sign_up,
        platforms=[(name, "") for name in wire.PLATFORM_TITLES],
    )
    return _xml(wire.project_config(config))


def _look_up(door: Door, said: Said, address: str) -> bytes:
    accounts, email, passwd_hash = door.people.boinc_accounts, said.get("email_addr", ""), said.get("passwd_hash")
    if passwd_hash:
        return wire.account_out(accounts.look_up(email, passwd_hash, address))
    if not accounts.exists(email, address):
        raise _no_account()
    return wire.account_exists()


def _create(door: Door, said: Said, address: str) -> bytes:
    key = door.people.boinc_accounts.create(
        said.get("email_addr", ""),
        said.get("passwd_hash", ""),
        said.get("user_name", ""),
        said.get("team_name", ""),
        address,
    )
    return wire.account_made(key)


def _info(door: Door, said: Said, _address: str) -> bytes:
    """For account managers. Keys that only compute learn nothing."""
    users = door.people.boinc_users
    try:
        who = users.identify(said.get("account_key", ""))
    except Refusal as refusal:
        if refusal.code is not Code.UNAUTHENTICATED:
            raise
        raise _no_account() from None
    if who.is_weak:
        raise _no_account()
    user = who.user
    return wire.account_info(
        wire.AccountInfo(
            user_id=user.user_id,
            name=who.name,
            weak_key=users.weak_key_of(user),
            cross_project_id=wire.external_cpid(user.cpid, who.account.email or ""),
            created_at=user.created_at // 1_000_000,
            team_id=user.team_id or 0,
        )
    )


def _token(_door: Door, _said: Said, _address: str) -> bytes:
    """Tokens that installers carry: none are made here."""
    raise Refusal(Code.NOT_FOUND, "There is no such login token.")


def _no_account() -> Refusal:
    return Refusal(Code.NOT_FOUND, "There is no such account.", "Make one, or ask the operator for one.")


def _answering(answer: Answer) -> Callable[[Request], object]:
    """A handler for GET, and for POST with the same fields in a form."""

    async def handler(request: Request) -> Response:
        said = request.url.query.encode("utf-8", "surrogateescape")
        try:
            if request.method == "POST":
                said += b"&" + await bounded_body(request.receive, _FORM_BYTES_MAX)
            fields = _fields(said)
            address = request.client.host if request.client else "unknown"
            return _xml(await anyio.to_thread.run_sync(answer, door_of(request), fields, address))
        except SenderGone:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        except Refusal as refusal:
            return _xml(wire.error_reply(_number(refusal), _sentence(refusal)))

    return handler


def _fields(said: bytes) -> dict[str, str]:
    """The first of each name. Raises Refusal BAD_REQUEST."""
    try:
        pairs = parse_qsl(said.decode("latin-1"), encoding="utf-8", errors="replace", max_num_fields=_FIELDS_MAX)
    except ValueError:
        raise Refusal(Code.BAD_REQUEST, "The request has too many fields.") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


_FIELDS: Final = {"email": ErrorNumber.BAD_EMAIL, "name": ErrorNumber.BAD_NAME}
_NUMBERS: Final = {
    Code.NOT_FOUND: ErrorNumber.NOT_FOUND,
    Code.UNAUTHENTICATED: ErrorNumber.BAD_PASSWORD,
    Code.ALREADY_EXISTS: ErrorNumber.NOT_UNIQUE,
    Code.FORBIDDEN: ErrorNumber.CREATION_DISABLED,
    Code.TOO_MANY: ErrorNumber.PROJECT_DOWN,  # so that the client says "try again later"
    Code.STORAGE_UNREACHABLE: ErrorNumber.PROJECT_DOWN,
}
_SENTENCES: Final = {ErrorNumber.BAD_PASSWORD: "Invalid password"}


def _number(refusal: Refusal) -> ErrorNumber:
    field = refusal.details.get("field")
    if refusal.code is Code.BAD_REQUEST and isinstance(field, str):
        return _FIELDS.get(field, ErrorNumber.FAILED)
    return _NUMBERS.get(refusal.code, ErrorNumber.FAILED)


def _sentence(refusal: Refusal) -> str:
    return _SENTENCES.get(_number(refusal), refusal.message)


def _xml(body: bytes) -> Response:
    return Response(body, media_type=wire.CONTENT_TYPE, headers=_NEVER_KEPT)


_BOTH: Final = ["GET", "POST"]
routes: Final = [
    Route("/", master),
    Route("/get_project_config.php", project_config),
    Route("/lookup_account.php", _answering(_look_up), methods=_BOTH),
    Route("/create_account.php", _answering(_create), methods=_BOTH),
    Route("/am_get_info.php", _answering(_info), methods=_BOTH),
    Route("/login_token_lookup.php", _answering(_token), methods=_BOTH),
]

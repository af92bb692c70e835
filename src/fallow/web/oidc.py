"""Signing in at an identity provider: OpenID Connect, authorization code with PKCE.

The browser carries what must come back (state, nonce, the code's verifier) in a signed cookie that lives for minutes,
so that any door process can take it up. Sources: OpenID Connect Core 1.0, 3.1; RFC 7636; RFC 9700.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import threading
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx2
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from fallow.clock import Clock
from fallow.control.entrance import Identity
from fallow.core.people import one_line
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros
from fallow.settings import Settings

COOKIE: Final = "fallow_oidc"
COOKIE_SECONDS: Final = 600
CALLBACK: Final = "/sign-in/oidc/callback"
_ALGORITHMS: Final = ["RS256", "ES256"]
_ANSWER_BYTES_MAX: Final = 1024 * 1024
_REMEMBERED_MICROS: Final = 600_000_000
_AGAIN_MICROS: Final = 30_000_000  # an unknown key makes us look for new ones, but not at every try
_AWAY_MICROS: Final = 5_000_000  # whoever comes while the provider is away must not wait for it, one after the other
_LEEWAY_SECONDS: Final = 60
_TIMEOUT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Errand:
    """What a browser keeps while it is at the provider."""

    state: str
    nonce: str
    verifier: str
    next: str
    until: int


@dataclass(frozen=True, slots=True)
class _Provider:
    """What discovery said. fetched_at: when."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    auth_methods: tuple[str, ...]
    keys: jwk.KeySet
    fetched_at: Micros


class Oidc:
    """One provider. Raises Refusal FETCH_FAILED when it cannot be reached or makes no sense."""

    def __init__(self, settings: Settings, clock: Clock, secret: bytes) -> None:
        self._issuer = settings.oidc_issuer
        self._client_id = settings.oidc_client_id
        self._client_secret = settings.oidc_client_secret
        self._callback = settings.base_url + CALLBACK
        self._clock = clock
        self._secret = secret
        self._known: _Provider | None = None
        self._away: tuple[Micros, Refusal] | None = None
        self._lock = threading.Lock()

    def depart(self, next_path: str) -> tuple[str, str]:
        """Where the browser goes, and the cookie that it takes along. next_path: of ours."""
        provider = self._provider()
        until = self._clock.now() // 1_000_000 + COOKIE_SECONDS
        errand = Errand(
            secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), next_path, until
        )
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._client_id,
                "redirect_uri": self._callback,
                "scope": "openid profile email",
                "state": errand.state,
                "nonce": errand.nonce,
                "code_challenge": create_s256_code_challenge(errand.verifier),
                "code_challenge_method": "S256",
            }
        )
        joint = "&" if "?" in provider.authorization_endpoint else "?"
        return f"{provider.authorization_endpoint}{joint}{query}", self._sealed(errand)

    def arrive(self, cookie: str, state: str, code: str, error: str) -> tuple[Identity, str]:
        """Who it is, and where they wanted to go. Raises Refusal FORBIDDEN for an answer that nobody here asked for,
        UNAUTHENTICATED when the provider did not let them in or its word is not good."""
        errand = self._unsealed(cookie)
        if errand is None or not hmac.compare_digest(state.encode("utf-8", "replace"), errand.state.encode()):
            raise Refusal(
                Code.FORBIDDEN, "This sign-in was not begun in this browser, or too long ago.", "Begin again."
            )
        if error or not code:
            raise Refusal(
                Code.UNAUTHENTICATED, f"The identity provider said: {one_line(error or 'nothing', 100)}.", "Try again."
            )
        tokens = self._tokens(code, errand.verifier)
        claims = self._claims(tokens, errand.nonce)
        verified = claims.get("email") if claims.get("email_verified") is True else None
        name = claims.get("name") or claims.get("preferred_username") or verified or claims["sub"]
        email = verified if isinstance(verified, str) else None
        return Identity(self._issuer, str(claims["sub"]), str(name), email), errand.next

    def _tokens(self, code: str, verifier: str) -> dict[str, Any]:
        provider = self._provider()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._callback,
            "code_verifier": verifier,
        }
        headers = {"accept": "application/json"}
        if self._client_secret and "client_secret_basic" in provider.auth_methods:
            pair = f"{quote(self._client_id, safe='')}:{quote(self._client_secret, safe='')}"
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form["client_id"] = self._client_id
            if self._client_secret:
                form["client_secret"] = self._client_secret
        return self._asked("POST", provider.token_endpoint, data=form, headers=headers)

    def _claims(self, tokens: dict[str, Any], nonce: str) -> CodeIDToken:
        """The ID token's, once its signature and everything it says about itself is checked."""
        token = tokens.get("id_token")
        if not isinstance(token, str):
            raise self._nonsense("an answer without an ID token")
        try:
            opened = self._opened(token)
            claims = CodeIDToken(
                opened.claims,
                opened.header,
                {
                    "iss": {"essential": True, "value": self._issuer},
                    "aud": {"essential": True, "value": self._client_id},
                    "sub": {"essential": True},
                },
                {"nonce": nonce, "client_id": self._client_id, "access_token": tokens.get("access_token")},
            )
            claims.validate(now=self._clock.now() // 1_000_000, leeway=_LEEWAY_SECONDS)
        except (JoseError, ValueError, TypeError) as wrong:
            raise Refusal(
                Code.UNAUTHENTICATED,
                f"The identity provider's token is not good: {one_line(str(wrong), 100)}.",
                "Try again; if it stays so, ask the operator.",
            ) from None
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255:
            raise self._nonsense("a subject that is none")
        return claims

    def _opened(self, token: str) -> jwt.Token:
        """Its signature is checked; with fresh keys when the known ones do not fit, since providers change theirs."""
        try:
            return jwt.decode(token, self._provider().keys, algorithms=_ALGORITHMS)
        except (JoseError, ValueError):
            return jwt.decode(token, self._provider(_AGAIN_MICROS).keys, algorithms=_ALGORITHMS)

    def _provider(self, remembered_micros: int = _REMEMBERED_MICROS) -> _Provider:
        now = self._clock.now()
        with self._lock:
            if self._known is None or not 0 <= now - self._known.fetched_at < remembered_micros:
                self._known = self._found(now)
            return self._known

    def _found(self, now: Micros) -> _Provider:
        """Asks the provider, unless it was found away a moment ago: then that is said again."""
        if self._away is not None and 0 <= now - self._away[0] < _AWAY_MICROS:
            refusal = self._away[1]
            raise Refusal(refusal.code, refusal.message, refusal.remedy, dict(refusal.details))
        try:
            return self._discovered(now)
        except Refusal as refusal:
            self._away = (self._clock.now(), refusal)
            raise

    def _discovered(self, now: Micros) -> _Provider:
        said = self._asked("GET", get_well_known_url(self._issuer, external=True))
        if said.get("issuer") != self._issuer:
            raise self._nonsense("another issuer")
        places = {name: said.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
        scheme = "https://" if self._issuer.startswith("https://") else "http"
        for name, place in places.items():
            if not isinstance(place, str) or not place.startswith(scheme):
                raise self._nonsense(f"no {name}")
        methods = said.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        try:
            keys = jwk.KeySet.import_key_set(self._asked("GET", str(places["jwks_uri"])))  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError):
            raise self._nonsense("keys that cannot be read") from None
        return _Provider(
            authorization_endpoint=str(places["authorization_endpoint"]),
            token_endpoint=str(places["token_endpoint"]),
            jwks_uri=str(places["jwks_uri"]),
            auth_methods=tuple(map(str, methods)) if isinstance(methods, list) else (),
            keys=keys,
            fetched_at=now,
        )

    def _asked(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        """A JSON object from the provider. Redirects are not followed: a secret may be on its way."""
        body = b""
        try:
            with httpx2.Client(timeout=_TIMEOUT_SECONDS) as client, client.stream(method, url, **more) as answer:
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > _ANSWER_BYTES_MAX:
                        raise self._nonsense("far too much")
                status = answer.status_code
            found = json.loads(body) if status == 200 else None
        except (httpx2.HTTPError, httpx2.InvalidURL) as wrong:
            raise Refusal(
                Code.FETCH_FAILED,
                f"The identity provider cannot be reached: {type(wrong).__name__}.",
                "Try again soon.",
            ) from None
        except ValueError:
            raise self._nonsense("something that is not JSON") from None
        if not isinstance(found, dict):
            raise self._nonsense(f"status {status}")
        return found

    def _nonsense(self, what: str) -> Refusal:
        return Refusal(
            Code.FETCH_FAILED, f"The identity provider answered with {what}.", "Try again; then ask the operator."
        )

    def _sealed(self, errand: Errand) -> str:
        body = base64.urlsafe_b64encode(json.dumps(asdict(errand)).encode()).decode()
        return f"{body}.{self._mac(body)}"

    def _unsealed(self, cookie: str) -> Errand | None:
        body, _, mac = cookie.partition(".")
        if not hmac.compare_digest(mac.encode("utf-8", "replace"), self._mac(body).encode()):
            return None
        try:
            errand = Errand(**json.loads(base64.urlsafe_b64decode(body)))
        except (binascii.Error, ValueError, TypeError):
            return None
        return errand if errand.until > self._clock.now() // 1_000_000 else None

    def _mac(self, body: str) -> str:
        return hmac.new(self._secret, b"oidc\n" + body.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

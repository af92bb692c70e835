"""A little OpenID Connect provider on a real socket: real keys, real tokens, PKCE checked. It lets everybody in."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

CLIENT, SECRET = "fallow", "a secret of the client's & such"
Claims = dict[str, Any]


@dataclass
class Provider:
    """sub, name, email: who signs in. spoil: changes the claims before they are signed. sign: makes the token of them.
    seen: the query of each visit to /authorize. asked: paths of all requests."""

    url: str = ""
    sub: str = "4711"
    name: str = "Grace Hopper"
    email: str = "grace@example.org"
    email_verified: bool = True
    auth_methods: tuple[str, ...] = ("client_secret_basic",)
    issuer_said: str = ""
    spoil: Callable[[Claims], object] = lambda _claims: None
    sign: Callable[["Provider", Claims], str] | None = None
    keys: KeySet = field(default_factory=lambda: KeySet([_rsa("one")]))
    seen: list[dict[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer_said or self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "token_endpoint_auth_methods_supported": list(self.auth_methods),
        }

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser is sent back to."""
        self.seen.append(query)
        code = secrets.token_urlsafe(8)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """None: refused."""
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None or not self._is_client(form, authorization):
            return None
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return None
        if form["redirect_uri"] != asked["redirect_uri"]:
            return None
        now = int(time.time())
        claims: Claims = {
            "iss": self.url,
            "sub": self.sub,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "name": self.name,
            "email": self.email,
            "email_verified": self.email_verified,
        }
        self.spoil(claims)
        sign = self.sign or signed
        return {"access_token": "at", "token_type": "Bearer", "id_token": sign(self, claims)}

    def _is_client(self, form: dict[str, str], authorization: str) -> bool:
        if "client_secret_basic" in self.auth_methods:
            from urllib.parse import quote

            pair = f"{CLIENT}:{quote(SECRET, safe='')}"
            return authorization == "Basic " + base64.b64encode(pair.encode()).decode()
        return (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)


def _rsa(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


def elliptic(kid: str = "ec") -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig"})


def signed(provider: Provider, claims: Claims) -> str:
    """With the newest key."""
    key = provider.keys.keys[-1]
    algorithm = "ES256" if isinstance(key, ECKey) else "RS256"
    return jwt.encode({"alg": algorithm, "kid": key.kid}, claims, key)


def by_a_strangers_key(_provider: Provider, claims: Claims) -> str:
    return jwt.encode({"alg": "RS256", "kid": "one"}, claims, _rsa("one"))


def unsigned(_provider: Provider, claims: Claims) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in ({"alg": "none"}, claims)
    ]
    return ".".join([*parts, ""])


@contextmanager
def provider() -> Iterator[Provider]:
    made = Provider()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(made: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            made.asked.append(parts.path)
            if parts.path == "/.well-known/openid-configuration":
                self._json(made.discovery())
            elif parts.path == "/jwks":
                self._json({"keys": [dict(key.as_dict(private=False)) for key in made.keys.keys]})
            elif parts.path == "/authorize":
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                self.send_response(302)
                self.send_header("location", made.authorize(query))
                self.end_headers()
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            made.asked.append(self.path)
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            answer = made.token(form, self.headers.get("authorization", ""))
            self._json(answer or {"error": "invalid_grant"}, 200 if answer else 400)

        def _json(self, body: dict[str, Any], status: int = 200) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    return Handler

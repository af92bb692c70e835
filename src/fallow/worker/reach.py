"""Tries to reach the server one stage after the other, so that the message names the stage that fails."""

import os
import socket
import ssl
import time
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

import httpx2

from fallow.worker.findings import Finding, fail, info, ok, warn

SECONDS = 10.0
SKEW_WARN_SECONDS = 5.0
SKEW_FAIL_SECONDS = 60.0
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def examine_reach(server: str, token: str) -> list[Finding]:
    """Name, connection, TLS, HTTP, clock, token; up to the first that fails. Never raises."""
    parts = urlsplit(server)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return [fail("server", f"{server!r} is not a URL.", "Write http://host:port or https://host.")]
    seen = [name for name in PROXIES if os.environ.get(name) or os.environ.get(name.lower())]
    findings = [info("proxy", f"The environment sets {', '.join(seen)}.")] if seen else []
    if not seen:
        # Behind a proxy the machine itself need not reach anything.
        connected = _connect(parts)
        findings.append(connected)
        if connected.verdict == "fail":
            return findings
    return findings + _http(server.rstrip("/"), token)


def _connect(parts: SplitResult) -> Finding:
    """DNS, then TCP, then TLS."""
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return fail("server: name", f"The name {host} is not known.", "Check the spelling and this machine's DNS.")
    try:
        raw = socket.create_connection((host, port), SECONDS)
    except OSError as wrong:
        said = f"{host} ({addresses[0][4][0]}) does not take connections on port {port}: {wrong.strerror or wrong}."
        return fail("server: connection", said, "Is the server running? Does a firewall stand between?")
    with raw:
        if parts.scheme == "http":
            return ok("server: connection", f"{host}:{port} takes connections.")
        try:
            with ssl.create_default_context().wrap_socket(raw, server_hostname=host):
                return ok("server: connection", f"{host}:{port} takes TLS connections.")
        except ssl.SSLError as wrong:
            remedy = "Check the certificate, or add its authority to this machine's store (SSL_CERT_FILE)."
            return fail("server: TLS", f"{host} is not trusted: {wrong.reason or wrong}.", remedy)
        except OSError as wrong:
            return fail("server: TLS", f"{host} broke off: {wrong.strerror or wrong}.", "Is it http instead of https?")


def _http(server: str, token: str) -> list[Finding]:
    """An answer, its clock, and whether the token may work."""
    try:
        with httpx2.Client(timeout=SECONDS) as client:
            began = time.time()
            health = client.get(f"{server}/healthz")
            ended = time.time()
            findings = [_health(health.status_code), *_clock(health.headers.get("date", ""), began, ended)]
            if token and findings[0].verdict == "ok":
                findings.append(_token(client, server, token))
            elif not token:
                findings.append(warn("server: token", "None was given.", "Set FALLOW_TOKEN or give --token."))
    except httpx2.HTTPError as wrong:
        return [fail("server: HTTP", f"{server} does not answer: {wrong or type(wrong).__name__}.")]
    return findings


def _health(status: int) -> Finding:
    if status == 200:
        return ok("server: HTTP", "The server is well.")
    if status == 404:
        return fail("server: HTTP", "Something answers, but it is no fallow server.", "Check the URL and its port.")
    return fail("server: HTTP", f"The server answers {status}.", "Ask its operator to look at `fallow doctor` there.")


def _clock(date: str, began: float, ended: float) -> list[Finding]:
    """The server's Date is whole seconds, so half of one is added; the middle of the round trip is when it was said."""
    try:
        theirs = parsedate_to_datetime(date).timestamp() + 0.5
    except (TypeError, ValueError):
        return []
    off = (began + ended) / 2 - theirs
    said = f"It is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the server's."
    if abs(off) > SKEW_FAIL_SECONDS:
        return [fail("clock", said, "timedatectl set-ntp true")]
    if abs(off) > SKEW_WARN_SECONDS:
        return [warn("clock", said, "timedatectl set-ntp true")]
    return [ok("clock", "It agrees with the server's.")]


def _token(client: httpx2.Client, server: str, token: str) -> Finding:
    """Asks for an image that cannot exist: 404 means that the token may work."""
    digest = "sha256:" + "0" * 64
    headers = {"Authorization": f"Bearer {token}"}
    status = client.get(f"{server}/api/work/images/{digest}", headers=headers).status_code
    if status == 401:
        return fail("server: token", "The server does not know this token.", "Make one: fallow keys add --scope work")
    if status == 403:
        return fail("server: token", "This token may not work.", "Use one with the scope `work`.")
    return ok("server: token", "The server takes this token.")

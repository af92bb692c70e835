"""Fetching what a submitter named, without becoming his way into our network (server-side request forgery).

A name is resolved once, every address it has is checked, and the connection goes to a checked address: a second answer
of the DNS changes nothing. TLS and the Host header still use the name. Each redirect is a new URL and is checked anew.
Addresses are checked after resolving, so a host written in octal, as one number or as an IPv6 form gains nothing.
"""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from fallow.core.refusals import Code, Refusal

REDIRECTS_MAX: Final = 5
FETCH_BYTES_MAX: Final = 1 << 40
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

Resolve = Callable[[str, int], Sequence[str]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. chunks: its body as it was sent, read once, within the context. headers: lower-case names."""

    url: str
    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Posted:
    """An answer to a POST. body: its beginning."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """Every address of a host, in the system's order. Raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class Fetcher:
    """GET and POST of http: and https: URLs. allow_private: also of addresses that are not public: one's own network.

    size_bytes_max: of a body. verify: for TLS; None: the system's authorities. Proxies of the environment are not used,
    because a proxy would resolve the name again.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        size_bytes_max: int = FETCH_BYTES_MAX,
        resolve: Resolve = resolve_by_system,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._size_bytes_max = size_bytes_max
        self._resolve = resolve
        self._client = httpx2.Client(
            verify=True if verify is None else verify,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx2.Timeout(60, connect=10),
            # A kept connection is known by its address alone, and would be used for another name whose certificate
            # nobody checked.
            limits=httpx2.Limits(max_keepalive_connections=0),
        )

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[Fetched]:
        """Send a GET and follow its redirects; any final status is an answer.

        Raises Refusal ADDRESS_FORBIDDEN, FETCH_FAILED or TOO_LARGE.
        """
        with ExitStack() as closing:
            at = _checked_url(url)
            for _ in range(REDIRECTS_MAX + 1):
                response = self._send(closing, at, headers or {})
                if response.status_code not in _REDIRECTS or "location" not in response.headers:
                    yield Fetched(str(at), response.status_code, _lower(response), self._body(at, response))
                    return
                response.close()
                at = _next_url(at, response.headers["location"])
            raise _failed(url, f"it redirects more than {REDIRECTS_MAX} times")

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, seconds: float, answer_bytes_max: int
    ) -> Posted:
        """Send a POST; any status is an answer, redirects too: what was signed for one receiver is not for another.

        seconds: for all of it, whatever the receiver does. answer_bytes_max: the rest of the answer is not read.
        Raises Refusal ADDRESS_FORBIDDEN or FETCH_FAILED.
        """
        limit = _Limit(seconds)
        with ExitStack() as closing:
            closing.callback(limit.stop)
            response = self._send(closing, _checked_url(url), headers, "POST", body, limit)
            answer = b""
            try:
                for chunk in response.iter_raw():
                    answer += chunk
                    if len(answer) >= answer_bytes_max:
                        break
            except httpx2.HTTPError as wrong:
                raise _failed(url, limit.reason() or _reason(wrong)) from None
            return Posted(response.status_code, _lower(response), answer[:answer_bytes_max])

    def _send(
        self,
        closing: ExitStack,
        url: httpx2.URL,
        headers: Mapping[str, str],
        method: str = "GET",
        body: bytes | None = None,
        limit: "_Limit | None" = None,
    ) -> httpx2.Response:
        """The answer of the first checked address that can be reached."""
        unreached: Exception | None = None
        for address in self._addresses(url):
            request = self._client.build_request(
                method,
                url.copy_with(host=address),
                content=body,
                headers={"Accept-Encoding": "identity", **headers, "Host": url.netloc.decode("ascii")},
                extensions={"sni_hostname": url.host, **(limit.extensions() if limit else {})},
            )
            try:
                response = self._client.send(request, stream=True)
            except httpx2.ConnectError as wrong:
                unreached = wrong
                continue
            except httpx2.HTTPError as wrong:
                raise _failed(str(url), (limit.reason() if limit else "") or _reason(wrong)) from None
            closing.callback(response.close)
            return response
        raise _failed(str(url), _reason(unreached)) from None

    def _addresses(self, url: httpx2.URL) -> list[str]:
        """Where the host is. All of its addresses must be allowed: a name with two faces is no name to trust."""
        port = url.port or {"http": 80, "https": 443}[url.scheme]
        try:
            found = list(dict.fromkeys(self._resolve(url.host, port)))
        except (OSError, UnicodeError) as wrong:
            raise _failed(str(url), f"its host cannot be resolved ({wrong})") from None
        for address in found:
            if not self._allow_private and not is_public(address):
                raise Refusal(
                    Code.ADDRESS_FORBIDDEN,
                    f"{url.host} is not a public address, and this server fetches from public ones only.",
                    "Upload the file, or ask the operator to allow private addresses.",
                )
        return found

    def _body(self, url: httpx2.URL, response: httpx2.Response) -> Iterator[bytes]:
        received = 0
        try:
            for chunk in response.iter_raw():
                received += len(chunk)
                if received > self._size_bytes_max:
                    raise Refusal(
                        Code.TOO_LARGE,
                        f"{url} has more than the {self._size_bytes_max} bytes that may be fetched.",
                        "Upload the file in parts, or ask the operator to raise the limit.",
                    )
                yield chunk
        except httpx2.HTTPError as wrong:
            raise _failed(str(url), _reason(wrong)) from None


class _Limit:
    """Ends a call when its time is up, even one whose other side sends a byte now and then."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._socket: socket.socket | None = None
        self._over = False
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def extensions(self) -> dict[str, Any]:
        return {"trace": self._note, "timeout": dict.fromkeys(("connect", "read", "write", "pool"), self._seconds)}

    def reason(self) -> str:
        """Why it was ended; "" when it was not."""
        return f"it took more than {self._seconds:g} seconds" if self._over else ""

    def stop(self) -> None:
        self._timer.cancel()

    def _note(self, event: str, info: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            self._socket = info["return_value"].get_extra_info("socket")
            if self._over:
                self._cut()

    def _cut(self) -> None:
        self._over = True
        if self._socket is not None:
            with suppress(OSError):  # it was closed meanwhile
                self._socket.shutdown(socket.SHUT_RDWR)


def is_public(text: str) -> bool:
    """Whether an address belongs to the public internet; an IPv4 address inside an IPv6 one is judged too."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return _is_public(_inner(address) or address)


def _is_public(address: Address) -> bool:
    return address.is_global and not (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or (isinstance(address, ipaddress.IPv6Address) and address.is_site_local)
    )


def _inner(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that packets to this one end up at: mapped, 6to4 or NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _checked_url(text: str) -> httpx2.URL:
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError):
        raise _failed(text, "it is not a URL") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise _failed(text, "it is not of the form http(s)://host/path")
    if url.userinfo:
        # It would be stored with the job and shown to whoever may see it.
        raise _failed(str(url.copy_with(userinfo=b"")), "a URL must not carry a password")
    return url.copy_with(fragment=None)


def _next_url(at: httpx2.URL, location: str) -> httpx2.URL:
    try:
        following = str(at.join(location))
    except (httpx2.InvalidURL, ValueError):
        raise _failed(str(at), "it redirects to what is not a URL") from None
    return _checked_url(following)


def _lower(response: httpx2.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _reason(wrong: Exception | None) -> str:
    return (str(wrong) or type(wrong).__name__).partition("\n")[0][:200] if wrong else "its host has no address"


def _failed(url: str, why: str) -> Refusal:
    return Refusal(Code.FETCH_FAILED, f"{url} cannot be fetched: {why}.", "Check the URL from another machine.")

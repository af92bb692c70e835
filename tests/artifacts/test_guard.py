"""A server-side fetch never reaches an address that is not public, however the submitter writes it."""

import datetime
import ipaddress
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from fallow.artifacts import guard
from fallow.artifacts.guard import Fetcher, is_public, resolve_by_system
from fallow.core.refusals import Code, Refusal
from tests.artifacts.web_server import WebServer, web_server


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


class Names:
    """A resolver that says what it is told and remembers what it was asked."""

    def __init__(self, **addresses: Sequence[str]) -> None:
        self.addresses = {name.replace("_", "."): list(found) for name, found in addresses.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.addresses.get(host) or resolve_by_system(host, port)


def fetch(fetcher: Fetcher, url: str) -> tuple[int, bytes]:
    with fetcher.get(url) as fetched:
        return fetched.status, b"".join(fetched.chunks)


def refusal(fetcher: Fetcher, url: str) -> Refusal:
    with pytest.raises(Refusal) as refused:
        fetch(fetcher, url)
    return refused.value


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
     "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1", "fe80::1%eth0",
     "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1",
     "64:ff9b:1::7f00:1", "2001:db8::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "fec0::1", "not an address", ""],
)  # fmt: skip
def test_these_are_not_public(address: str):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_these_are_public(address: str):
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_every_disguise(address: ipaddress.IPv4Address):
    public = is_public(str(address))
    assert is_public(f"::ffff:{address}") == public
    assert is_public(f"64:ff9b::{address}") == public


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"],
)
def test_no_spelling_of_the_loopback_is_reached(web: WebServer, host: str):
    web.file("/secret", b"secret")
    refused = refusal(Fetcher(), f"http://{host}:{web.port}/secret")
    assert refused.code in (Code.ADDRESS_FORBIDDEN, Code.FETCH_FAILED)
    assert web.seen == []


def test_a_name_that_leads_inside_is_refused(web: WebServer):
    for addresses in (["127.0.0.1"], ["8.8.8.8", "127.0.0.1"]):
        fetcher = Fetcher(resolve=Names(data_test=addresses))
        assert refusal(fetcher, f"http://data.test:{web.port}/").code is Code.ADDRESS_FORBIDDEN
    assert web.seen == []


def test_the_connection_goes_to_the_address_that_was_checked(web: WebServer):
    """One look-up a hop: a second answer of the DNS is never asked for."""
    web.file("/in.jsonl", b"{}\n")
    names = Names(data_test=["127.0.0.1"])
    assert fetch(Fetcher(allow_private=True, resolve=names), f"http://data.test:{web.port}/in.jsonl") == (200, b"{}\n")
    assert names.asked == ["data.test"]
    assert web.seen[0][1]["host"] == f"data.test:{web.port}"


@pytest.fixture
def loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.1 plays a public server, since the tests may reach no other; all else is judged as always."""
    judged = guard.is_public
    monkeypatch.setattr(guard, "is_public", lambda address: address == "127.0.0.1" or judged(address))


@pytest.mark.usefixtures("loopback_is_public")
@pytest.mark.parametrize("inside", ["http://127.0.0.2/", "http://localhost6.test/", "http://169.254.169.254/latest/"])
def test_a_redirect_inside_is_refused(web: WebServer, inside: str):
    web.redirect("/go", inside.replace("127.0.0.2", f"127.0.0.2:{web.port}"))
    names = Names(data_test=["127.0.0.1"], localhost6_test=["::1"])
    fetcher = Fetcher(resolve=names)
    assert refusal(fetcher, f"http://data.test:{web.port}/go").code is Code.ADDRESS_FORBIDDEN
    assert len(web.seen) == 1


@pytest.mark.usefixtures("loopback_is_public")
def test_a_name_that_changes_between_hops_is_checked_again(web: WebServer):
    names = Names(data_test=["127.0.0.1"])

    def turns(_: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        names.addresses["data.test"] = ["10.0.0.1"]
        return 302, {"Location": "/next"}, b""

    web.answers["/go"] = turns
    assert refusal(Fetcher(resolve=names), f"http://data.test:{web.port}/go").code is Code.ADDRESS_FORBIDDEN


def test_redirects_are_followed_and_counted(web: WebServer):
    web.file("/5", b"there")
    for n in range(5):
        web.redirect(f"/{n}", f"/{n + 1}")
    web.redirect("/loop", "loop")
    fetcher = Fetcher(allow_private=True)
    assert fetch(fetcher, f"http://127.0.0.1:{web.port}/0") == (200, b"there")
    refused = refusal(fetcher, f"http://127.0.0.1:{web.port}/loop")
    assert refused.code is Code.FETCH_FAILED
    assert "redirects" in refused.message


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://x/y", "gopher://x", "http://", "http:///x", "//x/y", "http://[::1", "http://a b/"],
)
def test_other_urls_are_refused(url: str):
    assert refusal(Fetcher(allow_private=True), url).code is Code.FETCH_FAILED


@pytest.mark.parametrize("to", ["file:///etc/passwd", "gopher://x", "http://[::1", "http://me:hunter2@127.0.0.1/"])
def test_a_redirect_to_another_kind_of_url_is_refused(web: WebServer, to: str):
    web.redirect("/go", to)
    assert refusal(Fetcher(allow_private=True), f"http://127.0.0.1:{web.port}/go").code is Code.FETCH_FAILED
    assert len(web.seen) == 1


def test_a_password_in_a_url_is_refused_and_not_repeated():
    refused = refusal(Fetcher(), "http://me:hunter2@example.test/")
    assert "hunter2" not in str(refused)


def test_too_large_a_body_is_cut_off(web: WebServer):
    web.file("/large", bytes(3_000_000))
    fetcher = Fetcher(allow_private=True, size_bytes_max=1_000_000)
    assert refusal(fetcher, f"http://127.0.0.1:{web.port}/large").code is Code.TOO_LARGE


def test_proxies_of_the_environment_are_not_used(web: WebServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{web.port}")
    names = Names(data_test=["127.0.0.1"])
    web.file("/a", b"x")
    assert fetch(Fetcher(allow_private=True, resolve=names), f"http://data.test:{web.port}/a")[0] == 200
    assert names.asked == ["data.test"]


def test_the_next_address_is_tried_when_one_is_down(web: WebServer):
    web.file("/a", b"x")
    names = Names(data_test=["127.0.0.9", "127.0.0.1"])  # the server listens on the second only
    assert fetch(Fetcher(allow_private=True, resolve=names), f"http://data.test:{web.port}/a") == (200, b"x")


def test_a_host_that_cannot_be_resolved_or_reached_is_a_refusal():
    def fails(host: str, port: int) -> Sequence[str]:
        raise OSError("no such host")

    assert refusal(Fetcher(resolve=fails), "http://data.test/").code is Code.FETCH_FAILED
    assert refusal(Fetcher(resolve=lambda host, port: []), "http://data.test/").code is Code.FETCH_FAILED


def test_tls_is_checked_against_the_name_and_not_the_address(tmp_path: Path):
    server_side, client_side = tls_for("data.test", tmp_path)
    with web_server(server_side) as web:
        web.file("/a", b"x")
        names = Names(data_test=["127.0.0.1"], other_test=["127.0.0.1"])
        fetcher = Fetcher(allow_private=True, resolve=names, verify=client_side)
        assert fetch(fetcher, f"https://data.test:{web.port}/a") == (200, b"x")
        # The second time too, when a connection to the same address might still have been open.
        refused = refusal(fetcher, f"https://other.test:{web.port}/a")
        assert refused.code is Code.FETCH_FAILED
        assert "certificate" in refused.message.lower()


def tls_for(name: str, directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The two sides of TLS for a server of this name, with a certificate that only this client trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (directory / "cert.pem").write_bytes(
        pem
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(directory / "cert.pem")
    return server_side, ssl.create_default_context(cadata=pem.decode())

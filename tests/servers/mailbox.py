"""A real SMTP server with TLS and sign-in that keeps the mail it takes."""

import datetime
import ipaddress
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "fallow", "a p@ssword/with signs"


@dataclass
class Mailbox:
    """replies: what DATA is answered with, one after another; 250 when there is none left. handed_over: mail that came
    to DATA and was not taken. unknown: addresses that RCPT refuses."""

    port: int = 0
    ca: Path = Path()
    mails: list[EmailMessage] = field(default_factory=list)
    handed_over: list[EmailMessage] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    was_encrypted: list[bool] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"smtp://{USER}:a%20p%40ssword%2Fwith%20signs@127.0.0.1:{self.port}"

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.unknown:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        mail: Any = message_from_bytes(content, policy=policy.default)
        with self.lock:
            if self.replies:
                self.handed_over.append(mail)
                return self.replies.pop(0)
            self.was_encrypted.append(session.ssl is not None)
            self.mails.append(mail)
        return "250 taken"


def _authenticated(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good)


@contextmanager
def listening(box: Mailbox, folder: Path, *, implicit: bool = False) -> Iterator[Mailbox]:
    """The mailbox on its port, or on any the first time. implicit: TLS from the first byte, else STARTTLS."""
    key, certificate = certificate_in(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    box.ca = certificate
    warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS")  # it does not see the outer TLS
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=box.port,
        ssl_context=context if implicit else None,
        tls_context=None if implicit else context,
        require_starttls=not implicit,
        authenticator=_authenticated,
        auth_required=True,
        auth_require_tls=not implicit,
    )
    if not box.port:
        box.port = controller.port = free_port()
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def certificate_in(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate for 127.0.0.1 that vouches for itself, made once in a folder."""
    key_file, certificate_file = folder / "mail-key.pem", folder / "mail-certificate.pem"
    if certificate_file.exists():
        return key_file, certificate_file
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return key_file, certificate_file

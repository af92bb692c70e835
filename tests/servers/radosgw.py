"""A private Ceph Object Gateway: one monitor, one object store on a sparse file, one gateway that speaks S3."""

import contextlib
import json
import os
import secrets
import signal
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import httpx2
import obstore
from obstore.store import S3Store

from tests.servers.shared import find_program, free_ports, run, shared, start_daemon, wait_until

PACKAGES = "radosgw ceph-mon ceph-osd ceph-mgr ceph-common"

CONFIGURATION = """
[global]
fsid = {fsid}
mon host = {mon_host}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
keyring = {home}/keyring
auth allow insecure global id reclaim = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd crush chooseleaf type = 0
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail crit = 1
mon data avail warn = 2
mon pg warn min per osd = 0
# Pools are made one after the other, and each waits for a proposal: a second at a time by default.
paxos propose interval = 0.02
paxos min wait = 0.01
mon osd full ratio = .99
osd failsafe full ratio = .995
run dir = {home}/run
admin socket = {home}/run/$name.asok
log file = {home}/log/$name.log
erasure code dir = {erasure}
[mon]
mon data = {home}/mon
[osd]
osd data = {home}/osd
osd objectstore = bluestore
bluestore block size = 20000000000
bluestore fsck on mount = false
osd memory target = 1000000000
osd class load list = *
osd class default list = *
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw data = {home}/rgw
rgw thread pool size = 64
debug rgw = 0
"""


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running gateway and one account on it, with one bucket."""

    endpoint: str
    access_key_id: str
    secret_access_key: str
    bucket: str

    def uri(self, prefix: str) -> str:
        """An s3: URI that names the endpoint too."""
        return f"s3://{self.bucket}/{prefix}?endpoint={self.endpoint}"

    def environment(self) -> dict[str, str]:
        """The variables by which programs find their credentials."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": "us-east-1",
        }

    def make_bucket(self, name: str) -> None:
        store = S3Store(
            name,
            endpoint=self.endpoint,
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            region="us-east-1",
            client_options={"allow_http": True},
        )
        httpx2.put(obstore.sign(store, "PUT", "", timedelta(minutes=1))).raise_for_status()


@contextlib.contextmanager
def running() -> Iterator[S3Server]:
    """The gateway of this test run. Raises MissingPrograms."""
    with shared("s3", _start) as said:
        yield S3Server(**json.loads(said))


def _start(directory: Path) -> str:
    programs = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
    ceph, authtool, mon, osd, monmaptool, radosgw, admin = (find_program(each, PACKAGES) for each in programs)
    *mon_ports, port = free_ports(3)
    fsid, home = str(uuid.uuid4()), directory
    mon_host = f"[v2:127.0.0.1:{mon_ports[0]},v1:127.0.0.1:{mon_ports[1]}]"
    for each in ("mon", "osd", "rgw", "run", "log"):
        (home / each).mkdir()
    erasure = next(Path("/usr/lib").glob("**/ceph/erasure-code"), "")
    conf = home / "ceph.conf"
    conf.write_text(CONFIGURATION.format(fsid=fsid, mon_host=mon_host, home=home, port=port, erasure=erasure))
    configured = ["-c", str(conf)]
    # As root the daemons would change to a user "ceph" that may not enter our directory.
    as_user = ["--setuser", "root", "--setgroup", "root"] if os.geteuid() == 0 else []
    keyring = f"{home}/keyring"
    run([monmaptool, "--create", "--fsid", fsid, "--addv", "a", mon_host, f"{home}/monmap"])
    run([authtool, "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *"])
    for name, caps in {
        "client.admin": ["mon", "allow *", "osd", "allow *", "mgr", "allow *"],
        "client.rgw": ["mon", "allow rw", "osd", "allow rwx"],
        "osd.0": ["mon", "allow profile osd", "osd", "allow *"],
    }.items():
        pairs = [part for at in range(0, len(caps), 2) for part in ("--cap", caps[at], caps[at + 1])]
        run([authtool, keyring, "--gen-key", "-n", name, *pairs])
    run([mon, *configured, "-i", "a", "--mkfs", "--keyring", keyring, "--monmap", f"{home}/monmap", *as_user])
    # Nothing of it is kept, so the daemons need not be given time to tidy up.
    monitor = start_daemon(home, "mon", [mon, *configured, "-f", "-i", "a", *as_user], stop_signal=signal.SIGKILL)
    asks = [ceph, *configured, "--connect-timeout", "30"]
    osd_id = str(uuid.uuid4())
    run([*asks, "osd", "new", osd_id])
    run([*asks, "auth", "import", "-i", keyring])
    run([osd, *configured, "-i", "0", "--mkfs", "--osd-uuid", osd_id, *as_user])
    storage = start_daemon(home, "osd", [osd, *configured, "-f", "-i", "0", *as_user], stop_signal=signal.SIGKILL)
    run([*asks, "osd", "crush", "add", "osd.0", "1", "root=default", "host=h"])
    wait_until(lambda: "1 up" in run([*asks, "osd", "stat"]), [monitor, storage], "The Ceph OSD", home / "osd.out")
    access, secret = secrets.token_hex(8), secrets.token_hex(16)
    run([admin, *configured, "user", "create", "--uid=u", "--display-name=u", f"--access-key={access}",
         f"--secret-key={secret}"])  # fmt: skip
    gateway = start_daemon(
        home, "rgw", [radosgw, *configured, "-f", "-n", "client.rgw", *as_user], stop_signal=signal.SIGKILL
    )
    endpoint = f"http://127.0.0.1:{port}"
    wait_until(lambda: _answers(endpoint), [monitor, storage, gateway], "The Ceph gateway", home / "rgw.out")
    server = S3Server(endpoint, access, secret, "fallow-tests")
    server.make_bucket(server.bucket)
    return json.dumps(asdict(server))


def _answers(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(endpoint, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False

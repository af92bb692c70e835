"""A way into a container's network without opening the container to any network.

A socket belongs to the network namespace in which it was made, whoever uses it later. So a small child process enters
the container's namespace, connects to the loopback address there, and hands the connected socket back over a socket
pair (SCM_RIGHTS). No port is published, and the container keeps `--network=none`.

This file is also that child's whole program, so it imports nothing but the standard library: setns(2), unix(7).
"""

import array
import ctypes
import errno
import importlib.util
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping

NEW_NETWORK = 0x40000000  # CLONE_NEWNET: include/uapi/linux/sched.h
CONNECT_SECONDS = 5.0
OPEN_SECONDS = 20.0  # podman's own start, under load
NUMBER = struct.Struct("!i")


class Gate:
    """Connects inside the network namespace of one process. May be used by several threads."""

    def __init__(self, pid: int, prefix: tuple[str, ...] = (), environment: Mapping[str, str] | None = None) -> None:
        """prefix: a command that runs the child where it may enter. environment: the child's; None: this process's.

        Raises OSError, PermissionError among them.
        """
        self._lock = threading.Lock()
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._child = subprocess.Popen(
                [*prefix, sys.executable, "-I", "-S", "-c", _own_source(), str(pid)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        self._ours.settimeout(OPEN_SECONDS)
        try:
            self._answer()
        except OSError:
            self.close()
            raise

    def connect(self, port: int) -> socket.socket:
        """A connection to 127.0.0.1:port in there. Raises OSError: what connect() said in there."""
        with self._lock:
            self._ours.settimeout(2 * CONNECT_SECONDS)
            self._ours.sendall(NUMBER.pack(port))
            return socket.socket(fileno=self._answer())

    def close(self) -> None:
        """The child ends; connections that were made stay."""
        self._ours.close()
        self._child.kill()
        self._child.wait()

    def _answer(self) -> int:
        """The handed-over descriptor, -1 where none was due. Raises OSError."""
        data, descriptors, _, _ = socket.recv_fds(self._ours, NUMBER.size, 1)
        if len(data) < NUMBER.size:
            raise PermissionError(errno.EPERM, "the worker has no way into the container's network")
        code = NUMBER.unpack(data)[0]
        if code:
            raise OSError(code, os.strerror(code))
        return descriptors[0] if descriptors else -1


def may_enter() -> bool:
    """Whether this process may enter network namespaces at all; tried on its own, where it changes nothing."""
    try:
        Gate(os.getpid()).close()
    except OSError:
        return False
    return True


def _own_source() -> str:
    """This file's text, also from inside a zip archive."""
    spec = importlib.util.find_spec(__name__)
    # By its method: the loader of zip archives is no importlib.abc.InspectLoader.
    read = getattr(spec.loader, "get_source", None) if spec else None
    source = read(__name__) if read else None
    if not isinstance(source, str):
        raise FileNotFoundError(errno.ENOENT, "the worker cannot find its own program")
    return source


def enter(pid: int) -> None:
    """This process's one thread moves into the network namespace of another. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/proc/{pid}/ns/net", "rb") as namespace:
        if libc.setns(namespace.fileno(), NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "setns")


def keep(pid: int, outside: socket.socket) -> None:
    """The child: enters, says so, and connects for as long as anybody asks."""
    try:
        enter(pid)
    except OSError as wrong:
        outside.sendall(NUMBER.pack(wrong.errno or errno.EPERM))
        return
    outside.sendall(NUMBER.pack(0))
    while len(asked := outside.recv(NUMBER.size, socket.MSG_WAITALL)) == NUMBER.size:
        hand_over(NUMBER.unpack(asked)[0], outside)


def hand_over(port: int, outside: socket.socket) -> None:
    """One connection, or why there is none."""
    try:
        inside = socket.create_connection(("127.0.0.1", port), CONNECT_SECONDS)
    except OSError as wrong:
        outside.sendall(NUMBER.pack(wrong.errno or errno.ETIMEDOUT))
        return
    with inside:
        # The descriptor that arrives is a copy of this one, its blocking mode included.
        inside.setblocking(True)
        descriptors = array.array("i", [inside.fileno()])
        outside.sendmsg([NUMBER.pack(0)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])


if __name__ == "__main__":
    with socket.socket(fileno=0) as door:
        keep(int(sys.argv[1]), door)

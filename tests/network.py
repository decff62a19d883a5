"""Other hosts on this machine: each has a network of its own, joined to ours by a line that can be cut."""

from __future__ import annotations

import os
import shutil
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

__all__ = ["HERE", "Hosts", "hosts", "relayed"]

HERE = "10.213.7.1"  # this machine, as the others see it
_BRIDGE = "cortigraph0"


class Hosts:
    """Network namespaces by name, and the line of each."""

    names = ("cortigraph1", "cortigraph2")

    def command(self, host: str, words: Sequence[object]) -> list[str]:
        """A command as it is given on a host."""
        return ["ip", "netns", "exec", host, *map(str, words)]

    def cut(self, host: str) -> None:
        """Lets nothing through any more; nobody is told."""
        _ip("link", "set", self._line(host), "down")

    def mend(self, host: str) -> None:
        """Lets all through again."""
        _ip("link", "set", self._line(host), "up")

    def begin(self) -> None:
        """Makes them."""
        _ip("link", "add", _BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{HERE}/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        for number, host in enumerate(self.names, start=2):
            _ip("netns", "add", host)
            _ip("link", "add", self._line(host), "type", "veth", "peer", "name", "eth0", "netns", host)
            _ip("link", "set", self._line(host), "master", _BRIDGE, "up")
            _ip("-n", host, "addr", "add", f"10.213.7.{number}/24", "dev", "eth0")
            _ip("-n", host, "link", "set", "eth0", "up")
            _ip("-n", host, "link", "set", "lo", "up")
            known = Path("/etc/netns", host, "hosts")  # what each host has for /etc/hosts
            known.parent.mkdir(parents=True, exist_ok=True)
            known.write_text(f"127.0.0.1 localhost\n10.213.7.{number} {socket.gethostname()}\n")

    def end(self) -> None:
        """Takes away whatever there is of them."""
        links = [("link", "del", name) for name in (*map(self._line, self.names), _BRIDGE)]
        for words in (*links, *(("netns", "del", host) for host in self.names)):
            subprocess.run(["ip", *words], check=False, capture_output=True)
        for host in self.names:
            shutil.rmtree(Path("/etc/netns", host), ignore_errors=True)

    def _line(self, host: str) -> str:
        return f"cg{self.names.index(host) + 1}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """Two hosts; the test is skipped where they may not be made."""
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    made = Hosts()
    with ExitStack() as stack:
        stack.callback(made.end)
        try:
            made.begin()
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"network namespaces are not permitted here: {getattr(error, 'stderr', None) or error}")
        yield made


@contextmanager
def relayed(port: int) -> Iterator[int]:
    """A port at which other hosts reach one of this machine's own, as if its server listened for all.

    Args:
        port: At 127.0.0.1.

    Yields:
        The port at `HERE`.
    """

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as inner:
                back = threading.Thread(target=_pass_on, args=(inner, self.request), daemon=True)
                back.start()
                _pass_on(self.request, inner)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads, block_on_close = True, False

    with Server((HERE, 0), Relay) as server:
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while some := one.recv(1 << 16):
            other.sendall(some)
    for each in (one, other):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)

"""Hosts and their slots: where ranks may run, which of them rest after a loss, and which machine this is.

h1:2,h2:2        two ranks on each of two hosts
hosts.txt        the same in a file, one host a line; read again and again, so that hosts can come and go
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from cortigraph.graph.errors import InputError

__all__ = ["LOOPBACK", "Roster", "Slot", "is_here", "parse_hosts"]

LOOPBACK = "127.0.0.1"
_HERE = {"localhost", LOOPBACK, "::1"}
_REST = 10.0  # seconds that a slot is left alone after its first loss; twice as long after each further one
_LONGEST = 600.0


@dataclass(frozen=True, order=True)
class Slot:
    """A place for one rank.

    Args:
        host: As the user named it.
        index: On the host, from 0.
    """

    host: str
    index: int

    def __str__(self) -> str:
        return f"{self.host}:{self.index}"


def parse_hosts(text: str) -> list[Slot]:
    """All slots of hosts.

    Args:
        text: `host:slots` with commas or lines between; a host alone has one slot; `#` begins a comment.

    Raises:
        InputError: Something else stands there; lists all of it.

    Example:
        >>> [str(slot) for slot in parse_hosts("h1:2,h2")]
        ['h1:0', 'h1:1', 'h2:0']
    """
    problems, slots = [], list[Slot]()
    lines = (line.partition("#")[0] for line in text.splitlines())
    for part in filter(None, (part.strip() for line in lines for part in line.split(","))):
        host, colon, count = part.partition(":")
        count = count if colon else "1"
        if not host or not count.isdigit() or int(count) == 0:
            problems.append(f"hosts: expected host:slots, such as h1:2, got {part!r}")
        elif any(slot.host == host for slot in slots):
            problems.append(f"hosts: {host} is named twice")
        else:
            slots += [Slot(host, index) for index in range(int(count))]
    if problems or not slots:
        raise InputError(problems or "hosts: expected host:slots, such as h1:2,h2:2, got none")
    return slots


def is_here(host: str) -> bool:
    """Whether a host is this machine."""
    if host in _HERE or host == socket.gethostname():
        return True
    return any(address.address == host for found in psutil.net_if_addrs().values() for address in found)


class Roster:
    """Which slots a group may be formed of now.

    Args:
        hosts: See the module, or None for this machine alone.
        least: Slots without which nothing can be trained.
        most: Slots that are used at most.
        rest: Seconds that a slot is left alone after a loss.
    """

    def __init__(self, hosts: str | None, least: int, most: int, rest: float = _REST) -> None:
        self.least, self.most = least, most
        self._file = Path(hosts) if hosts and Path(hosts).is_file() else None
        self._named = [] if self._file else parse_hosts(hosts or f"localhost:{most}")
        self._rest, self._losses, self._until = rest, dict[Slot, int](), dict[Slot, float]()
        if len(self.named()) < least:
            raise InputError(f"hosts: expected at least {least} slots, got {len(self.named())} ({hosts})")

    def named(self) -> list[Slot]:
        """All slots, those that rest too."""
        if self._file is not None:
            with suppress(OSError, InputError):  # just being written: the next look sees it whole
                self._named = parse_hosts(self._file.read_text(encoding="utf-8"))
        return self._named

    def available(self) -> list[Slot]:
        """Slots for a group formed now, at most `most`."""
        now = time.monotonic()
        return [slot for slot in self.named() if self._until.get(slot, 0.0) <= now][: self.most]

    def lost(self, slot: Slot) -> None:
        """A rank was lost there: the slot rests."""
        self._losses[slot] = count = self._losses.get(slot, 0) + 1
        self._until[slot] = time.monotonic() + min(_LONGEST, self._rest * 2 ** (count - 1))

    def better(self, used: Sequence[Slot]) -> bool:
        """Whether a group formed now would be another one: larger, or without a slot that was taken away."""
        available = self.available()
        gone = not set(used) <= set(self.named())
        return (gone and len(available) >= self.least) or len(available) > len(used)

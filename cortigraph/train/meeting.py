"""How ranks of a group find each other: a meeting point in the process that starts them, and what each is told.

Every engine has its own kind of meeting point, and its own names for the same numbers.
"""

from __future__ import annotations

import os
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import psutil

from cortigraph.graph.errors import SetupError
from cortigraph.train.hosts import LOOPBACK, Slot, is_here

__all__ = ["Meeting", "bind_interface", "open_meeting"]

ADDRESS = "CORTIGRAPH_ADDRESS"  # of this machine, as the others see it
_MEETING = "CORTIGRAPH_MEETING"
_ANY_PORT = 9
_STALL = 600  # seconds; who watches the group gives up sooner, and names the rank that is missing
_REACH = 5.0  # seconds


class Meeting(ABC):
    """A meeting point for one group.

    Args:
        slots: One per rank, in order of ranks, those of a host together.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.slots = list(slots)
        self.address = _address(slots)

    @abstractmethod
    def environment(self, rank: int) -> dict[str, str]:
        """What a rank is told."""

    @abstractmethod
    def close(self) -> None:
        """Ends it."""

    def _places(self, rank: int) -> tuple[int, int, int, int]:
        """Rank and size on its host; number and count of hosts."""
        hosts = list(dict.fromkeys(slot.host for slot in self.slots))
        mine = [other for other, slot in enumerate(self.slots) if slot.host == self.slots[rank].host]
        return mine.index(rank), len(mine), hosts.index(self.slots[rank].host), len(hosts)


class _Horovod(Meeting):
    def __init__(self, slots: Sequence[Slot]) -> None:
        from horovod.runner.common.util.hosts import get_host_assignments, parse_hosts
        from horovod.runner.http.http_server import RendezvousHandler, RendezvousHTTPServer

        super().__init__(slots)
        counts = {slot.host: sum(other.host == slot.host for other in slots) for slot in slots}
        told = ",".join(f"{host}:{count}" for host, count in counts.items())
        self._server = RendezvousHTTPServer((self.address, 0), RendezvousHandler, 0)
        self._server.daemon_threads = True
        self._server.init(get_host_assignments(parse_hosts(told), len(slots)))
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True, name="rendezvous").start()

    def environment(self, rank: int) -> dict[str, str]:
        local_rank, local_size, cross_rank, cross_size = self._places(rank)
        return {
            "HOROVOD_RANK": str(rank),
            "HOROVOD_SIZE": str(len(self.slots)),
            "HOROVOD_LOCAL_RANK": str(local_rank),
            "HOROVOD_LOCAL_SIZE": str(local_size),
            "HOROVOD_CROSS_RANK": str(cross_rank),
            "HOROVOD_CROSS_SIZE": str(cross_size),
            "HOROVOD_HOSTNAME": self.slots[rank].host,
            "HOROVOD_CONTROLLER": "gloo",
            "HOROVOD_CPU_OPERATIONS": "gloo",
            "HOROVOD_GLOO_RENDEZVOUS_ADDR": self.address,
            "HOROVOD_GLOO_RENDEZVOUS_PORT": str(self._server.server_address[1]),
            # in ms: looking for gradients more often takes a quarter of their speed from the cores that make them
            "HOROVOD_CYCLE_TIME": os.environ.get("HOROVOD_CYCLE_TIME", "5"),
            "HOROVOD_STALL_CHECK_TIME_SECONDS": str(_STALL // 2),
            "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": str(_STALL),
            _MEETING: f"{self.address}:{self._server.server_address[1]}",
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Torch(Meeting):
    def __init__(self, slots: Sequence[Slot]) -> None:
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        super().__init__(slots)
        # Our own socket: the store's would listen on every interface.
        listener = socket.create_server((self.address, 0))
        port = listener.getsockname()[1]
        self._store: TCPStore | None = TCPStore(
            self.address, port, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=120),
            master_listen_fd=listener.detach(),
        )  # fmt: skip
        self._port = port

    def environment(self, rank: int) -> dict[str, str]:
        local_rank, local_size, _, _ = self._places(rank)
        return {
            "RANK": str(rank),
            "WORLD_SIZE": str(len(self.slots)),
            "LOCAL_RANK": str(local_rank),
            "LOCAL_WORLD_SIZE": str(local_size),
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self._port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",  # the meeting point is ours: rank 0 opens none
            _MEETING: f"{self.address}:{self._port}",
        }

    def close(self) -> None:
        self._store = None


def open_meeting(engine: str, slots: Sequence[Slot]) -> Meeting:
    """Opens the meeting point of an engine.

    Args:
        engine: `horovod` or `torch`.
        slots: One per rank.

    Raises:
        SetupError: Horovod is not built, or no address of this machine is known to the others.
    """
    if engine == "horovod":
        from cortigraph.train.horovod import import_horovod

        import_horovod()
        return _Horovod(slots)
    return _Torch(slots)


def bind_interface() -> None:
    """In a rank: has the engine talk over the interface that leads to the meeting point, whatever the host's name says.

    Raises:
        SetupError: None leads there.
    """
    meeting = os.environ.get(_MEETING)
    if meeting is None:
        return
    host, _, port = meeting.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_REACH) as line:
            own = line.getsockname()[0]
    except OSError as error:
        raise SetupError(f"{meeting}, where this group meets, can't be reached from here: {error}") from None
    if own != LOOPBACK and "HOROVOD_RANK" in os.environ:
        _check_name(own)
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address == own for address in addresses):
            os.environ["HOROVOD_GLOO_IFACE"] = os.environ["GLOO_SOCKET_IFNAME"] = str(name)
            return
    raise SetupError(f"no network interface leads to {meeting}, where this group meets")


def _check_name(own: str) -> None:
    """Horovod 0.28 takes no interface for its process sets: it goes by what the host's own name means on that host."""
    name = socket.gethostname()
    try:
        meant = socket.gethostbyname(name)
    except OSError:
        meant = "nothing"
    if meant == "nothing" or meant.startswith("127."):
        raise SetupError(
            f"this host's own name, {name}, means {meant} here, and Horovod would have the other hosts go there; "
            f"let it mean {own} in /etc/hosts, or choose the torch engine"
        )


def _address(slots: Sequence[Slot]) -> str:
    """Of this machine, as all hosts see it."""
    strangers = [slot.host for slot in slots if not is_here(slot.host)]
    if not strangers:
        return LOOPBACK
    if os.environ.get(ADDRESS):
        return os.environ[ADDRESS]
    try:
        return _towards(strangers[0])
    except OSError as error:
        raise SetupError(
            f"no way to host {strangers[0]!r} is known ({error}); name it as this machine can reach it, or set "
            f"{ADDRESS} to the address under which the hosts reach this machine"
        ) from None


def _towards(host: str) -> str:
    """The address of this machine on the way to a host; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, _ANY_PORT))
        return str(probe.getsockname()[0])


def package_path() -> str:
    """What `PYTHONPATH` must be so that a rank imports what we do."""
    package = str(Path(__file__).parents[2])
    return os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])

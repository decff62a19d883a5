"""Elastic groups: when a worker is lost the others go on from the last commit, and when there is room one is added.

A group is never mended while it runs. It is ended as a whole and formed anew, of whatever slots are there, and asked
the same again: a job goes on from its last commit, however many ranks it has now. That needs nothing of the engine but
that it can be started, so it is the same for all of them.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cortigraph.train.cluster import Cluster
from cortigraph.train.errors import TrainError, WorkerLostError
from cortigraph.train.group import Group
from cortigraph.train.hosts import Slot

__all__ = ["Regrouping"]

_LOG = logging.getLogger(__name__)
_PATIENCE = 120.0  # seconds to wait for slots below the minimum
_BARREN = 3  # losses one after the other without a commit between them, after which it is the job that is to blame
_POLL = 0.2


class Regrouping:
    """Has a group do things, and forms it anew as often as it takes.

    Args:
        cluster: Who may be in it.
        engine: Its name.
        threads: Of each rank.
        shared: A folder that all hosts see.
    """

    def __init__(self, cluster: Cluster, engine: str, threads: int, shared: Path) -> None:
        self.group: Group | None = None
        self._cluster, self._engine, self._threads, self._shared = cluster, engine, threads, shared
        self._roster = cluster.roster()
        self._slots: list[Slot] = []  # of the group that was formed last

    def ask(self, request: dict[str, Any], on_line: Callable[[str], None] | None) -> tuple[int, dict[str, Any]]:
        """Has a group do something, and waits for it.

        Args:
            request: For every rank.
            on_line: Given each line of progress.

        Raises:
            WorkerLostError: A worker was lost, and the group is not elastic, or lost one again and again.
            TrainError: Fewer slots are left than the least that it needs.
        """
        barren = 0

        def told(line: str) -> None:
            nonlocal barren
            barren = 0
            if on_line is not None:
                on_line(line)

        while True:
            try:
                group = self._formed()
                pause = (lambda: self._roster.better(group.slots)) if self._cluster.elastic else None  # noqa: B023
                number, result = group.ask(request, told, pause)
            except WorkerLostError as lost:
                barren += 1
                self.group = None  # it has ended itself; its logs stay where the error says they are
                if not self._cluster.elastic or barren >= _BARREN:
                    raise
                _LOG.warning("%s", lost)
                shutil.rmtree(lost.logs, ignore_errors=True)
                for rank in lost.ranks:
                    self._roster.lost(self._slots[rank])
            except BaseException:
                self.group = None
                raise
            else:
                if "paused" not in result:
                    return number, result
                self.close()

    def _formed(self) -> Group:
        if self.group is None:
            until = time.monotonic() + _PATIENCE
            while len(slots := self._roster.available()) < self._cluster.least:
                if time.monotonic() > until:
                    raise TrainError(
                        f"only {len(slots)} of at least {self._cluster.least} workers are left after "
                        f"{_PATIENCE:.0f} s; the job can be started again from its last checkpoint"
                    )
                time.sleep(_POLL)
            c, self._slots = self._cluster, slots
            self.group = Group(
                self._engine, slots, self._threads, self._shared, silence=c.silence, stall=c.stall, join=c.join
            )
        return self.group

    def close(self) -> None:
        """Ends the group, if there is one."""
        if self.group is not None:
            self.group.close()
            self.group = None

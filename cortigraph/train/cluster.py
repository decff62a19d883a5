"""A cluster: which processes train together, where, under which engine, and what happens when one is lost."""

from __future__ import annotations

from dataclasses import dataclass, field

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.train.engine import ENGINES
from cortigraph.train.exchange import Exchange
from cortigraph.train.hosts import Roster

__all__ = ["Cluster"]


@dataclass(frozen=True)
class Cluster:
    """Who trains together.

    Args:
        workers: Processes.
        engine: `single`, `horovod` or `torch`; left out, one worker needs none, and several take Horovod if it is
            built here, else torch.
        hosts: `h1:2,h2:2`, or a file of such lines that is read again while training; this machine when left out.
            Hosts see the same folders, and have this Python in the same place.
        minimum: With it or `maximum` the group is elastic: a lost worker costs at most what was learned since the
            last commit; those that are left go on, if they are at least so many.
        maximum: It grows up to so many when hosts or rested slots are there.
        threads: Of each worker; left out, the cores of this machine are shared out.
        exchange: How workers exchange what they learn.
        silence: Seconds without a sign of life after which a worker is taken for dead.
        stall: Seconds that a worker may keep the others waiting.
        join: Seconds that workers have to join, when a group is formed.
        rest: Seconds that the place of a lost worker is left alone; twice as long after each further loss.

    Raises:
        InputError: The numbers don't fit together; lists all of it.

    Example:
        >>> Cluster(workers=4, minimum=2).elastic
        True
    """

    workers: int = 1
    engine: str | None = None
    hosts: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    threads: int | None = None
    exchange: Exchange = field(default_factory=Exchange)
    silence: float = 30.0
    stall: float = 60.0
    join: float = 120.0
    rest: float = 10.0

    def __post_init__(self) -> None:
        problems = []
        if self.workers < 1:
            problems.append(f"workers: expected at least 1, got {self.workers}")
        if self.engine is not None and self.engine not in ENGINES:
            raise UnknownKeyError("engine", self.engine, ENGINES)
        if not 1 <= self.least <= self.workers <= self.most:
            problems.append(
                f"expected min-workers ≤ workers ≤ max-workers, got {self.least}, {self.workers}, {self.most}"
            )
        if self.engine == "single" and self.most > 1:
            problems.append(
                f"the single engine has 1 worker, got {self.most}; choose the horovod engine or torch for more"
            )
        if self.exchange.split == "network":
            if self.engine == "horovod":
                problems.append("a network is split between workers by the torch engine, got horovod")
            if self.least < self.most:
                problems.append("a network that is split needs all its workers; leave min-workers and max-workers out")
        if problems:
            raise InputError(problems)

    @property
    def least(self) -> int:
        """Workers without which it can't go on."""
        return self.workers if self.minimum is None else self.minimum

    @property
    def most(self) -> int:
        """Workers that it may have."""
        return self.workers if self.maximum is None else self.maximum

    @property
    def elastic(self) -> bool:
        """Whether it survives the loss of a worker."""
        return self.minimum is not None or self.maximum is not None

    def chosen(self) -> str:
        """The engine, chosen if it was left open."""
        if self.engine is not None:
            return self.engine
        if self.most == 1 and self.hosts is None:
            return "single"
        if self.exchange.split == "network":
            return "torch"
        from cortigraph.train.horovod import why_missing

        return "torch" if why_missing() else "horovod"

    def roster(self) -> Roster:
        """The slots that it may use.

        Raises:
            InputError: Hosts can't be read, or have too few slots.
        """
        return Roster(self.hosts, self.least, self.most, self.rest)

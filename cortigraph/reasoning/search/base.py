"""Search strategies: ask for a blueprint, tell its score.

A strategy draws everything from a generator seeded by the search's seed and the number of the question, and otherwise
depends on what was asked and told before: recalling what the graph remembers gives the state that it was in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cortigraph.graph.errors import UnknownKeyError

if TYPE_CHECKING:
    from cortigraph.reasoning.pathway.compose import Decisions, Space
    from cortigraph.regions.blueprint import Blueprint

__all__ = ["Search", "names", "strategy"]

_TRIES = 50  # for something new, before a blueprint that was scored already is given again


class Search(ABC):
    """Asks and tells over blueprints. A strategy overrides `propose` alone.

    Args:
        space: What may be decided, and how decisions become a blueprint.
        seed: Of everything that is drawn.
        first: Decisions to begin with, best first: what memory suggests.
    """

    name: ClassVar[str]

    def __init__(self, space: Space, seed: int, first: Sequence[Decisions] = ()) -> None:
        self.space = space
        self.seed = seed
        self.first = list(first)
        self.told: list[tuple[Decisions, float]] = []
        self._asked: list[Decisions] = []
        self._failed: list[tuple[str, Any]] = []

    def ask(self) -> Blueprint:
        """The next blueprint to try: one that was not tried yet, as long as the search can think of any."""
        return self.space.compose(self.decide())

    def decide(self) -> Decisions:
        """The decisions of the next blueprint to try."""
        generator = np.random.default_rng([self.seed, len(self._asked)])
        decisions = self._next(generator)
        self._asked.append(decisions)
        return decisions

    def recall(
        self,
        asked: Sequence[Decisions],
        told: Sequence[tuple[Decisions, float]],
        failed: Sequence[tuple[str, Any]] = (),
    ) -> None:
        """Goes on where a search is that others may be working on too.

        Args:
            asked: What is tried or was tried, by place.
            told: What has its score, in the order in which strategies that look at it are to see it.
            failed: Slot and choice of what could not be trained: it would be tried in vain again.
        """
        self._asked, self.told, self._failed = list(asked), list(told), list(failed)

    def tell(self, blueprint: Blueprint, score: float) -> None:
        """The score of a blueprint that was asked for; higher is better."""
        self.told.append((dict(blueprint.decisions), score))

    @abstractmethod
    def propose(self, generator: np.random.Generator) -> Decisions:
        """Decisions worth trying, given `told`. All chance comes from the generator."""

    def _next(self, generator: np.random.Generator) -> Decisions:
        place = len(self._asked)
        if place < len(self.first) and not self._in_vain(self.first[place]):
            return self.first[place]
        known = [*self._asked, *(decisions for decisions, _ in self.told)]
        for _ in range(_TRIES):
            decisions = self.propose(generator)
            if decisions not in known and not self._in_vain(decisions):
                break
        return decisions

    def _in_vain(self, decisions: Decisions) -> bool:
        return any(decisions.get(slot) == choice for slot, choice in self._failed)


_strategies: dict[str, type[Search]] = {}


def register(cls: type[Search]) -> type[Search]:
    """Makes a strategy known by its name."""
    _strategies[cls.name] = cls
    return cls


def strategy(name: str) -> Callable[..., Search]:
    """The strategy of that name.

    Raises:
        UnknownKeyError: There is none; the nearest names are given.
    """
    if name not in _strategies:
        raise UnknownKeyError("search strategy", name, names())
    return _strategies[name]


def names() -> list[str]:
    """Every strategy's name, sorted."""
    return sorted(_strategies)

"""The mind: the graph as facts and the reasoner in use, kept warm between questions for as long as both stay the same.

What is asked is answered over the graph as it is now: each question asks the store for its version, and only if that
has changed is anything read again. A reasoner need not be trained again for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.asking import shelf
from cortigraph.reasoning.asking.knowledge import Knowledge, check, know
from cortigraph.reasoning.asking.selection import Selection
from cortigraph.reasoning.asking.shelf import Shelved
from cortigraph.reasoning.reasoners import artefact
from cortigraph.reasoning.reasoners.base import Reasoner
from cortigraph.reasoning.reasoners.calibration import Calibration
from cortigraph.reasoning.reasoners.evaluate import Known
from cortigraph.reasoning.reasoners.facts import Facts, renumbered
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.reasoning.reasoners.view import View, view

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store

__all__ = ["Mind", "Sight", "Thought"]


@dataclass(frozen=True, eq=False)
class Thought:
    """A reasoner before the present graph.

    Args:
        reasoner: Which.
        name: What it is called.
        calibration: What its scores are worth.
        knowledge: The graph, or the part of it that the reasoner is for.
        view: What the reasoner sees of it.
    """

    reasoner: Reasoner
    name: str
    calibration: Calibration
    knowledge: Knowledge
    view: View

    @property
    def facts(self) -> Facts:
        """What the reasoner sees."""
        return self.view.facts

    @cached_property
    def known(self) -> Known:
        """The answers that the graph holds, by the rows of what the reasoner sees."""
        if self.facts is self.knowledge.facts:
            return self.knowledge.known
        return Known(self.facts.triples, len(self.facts.relations))

    def notes(self) -> tuple[str, ...]:
        """What of the graph the reasoner can't see."""
        told = []
        if self.view.unseen:
            told.append(
                f"{self.view.unseen} entities are unknown to {self.name}, a scorer of a closed graph; "
                f"`cortigraph reason refresh {self.name}` lets it see them"
            )
        if self.view.unread:
            names = ", ".join(self.view.unread[:5]) + (" …" if len(self.view.unread) > 5 else "")
            told.append(f"{self.name} has not learned what {names} mean; `cortigraph reason refresh {self.name}` does")
        return tuple(told)


@dataclass(frozen=True, eq=False)
class Sight:
    """What a reasoner sees of a graph, by the rows and numbers of that graph.

    Args:
        knowledge: The graph.
        thought: The reasoner before its part of the graph.
    """

    knowledge: Knowledge
    thought: Thought

    @cached_property
    def rows(self) -> Rows:
        """For each entity that the reasoner sees its row in the graph, or -1."""
        if self.knowledge is self.thought.knowledge:
            return self.thought.view.rows
        return self.knowledge.facts.entities.places(self.thought.facts.entities)

    @cached_property
    def places(self) -> Rows:
        """For each entity of the graph its row before the reasoner, or -1."""
        found = np.full(len(self.knowledge.facts.entities), -1, dtype=np.int64)
        there = np.flatnonzero(self.rows >= 0)
        found[self.rows[there]] = there
        return found

    @cached_property
    def numbers(self) -> Rows:
        """For each relation of the graph, in both directions, its number before the reasoner, or -1."""
        return renumbered(self.knowledge.facts.relations, self.thought.facts.relations)

    def query(self, row: int, relation: int) -> tuple[int, int] | None:
        """A query as the reasoner takes it; none where it knows the entity or the relation not.

        Args:
            row: Of the graph.
            relation: Its number in the graph.
        """
        place, number = int(self.places[row]), int(self.numbers[relation])
        return (place, number) if place >= 0 and number >= 0 else None


class Mind:
    """Reasoners and facts of one store, ready to be asked.

    Args:
        store: The graph.
        home: Where reasoners and snapshots lie.
    """

    def __init__(self, store: Store, home: Home) -> None:
        self.store, self.home = store, home
        self._version = ""
        self._shelf: list[Shelved] | None = None
        self._thoughts: dict[tuple[str | None, str | None], Thought] = {}
        self._parts: dict[Selection, Knowledge] = {}
        self._sights: dict[tuple[Knowledge, Thought], Sight] = {}
        self._loaded: dict[Path, tuple[Reasoner, Calibration, str]] = {}

    def thought(self, reasoner: str | None = None, graph: str | None = None) -> Thought:
        """A reasoner before the graph as it is now.

        Args:
            reasoner: Its name, key, hash or file; else the one that was trained last.
            graph: What part of the graph; else what it was trained on.

        Raises:
            UnknownKeyError: There is no such reasoner.
            InputError: There is none at all.
        """
        self._look()
        return self._before(reasoner, graph)

    def knowledge(self, graph: str | None = None) -> Knowledge:
        """The graph as it is now.

        Args:
            graph: What part of it; else all.

        Raises:
            UnknownKeyError: Nothing has a label or type of that part.
        """
        self._look()
        selection = Selection.parse(graph or "all")
        return self._known(check(self.store, selection))

    def chosen(self, relations: Sequence[str], graph: str | None = None) -> tuple[Thought | None, str]:
        """The reasoner that can best be asked about relations: of those that know most of them, the one trained last.

        Args:
            relations: Their names.
            graph: What part of the graph it shall look at; else what it was trained on.

        Returns:
            The reasoner before the graph, none where nobody knows any; and what the user should know of the choice.
        """
        kept = self.shelf()
        if not kept:
            return None, "there is no reasoner yet; `cortigraph reason train --graph all` trains one"
        wanted, best, most = set(relations), None, 0
        for each in kept:
            count = len(wanted & self._learned(each, graph, wanted))
            if count > most:
                best, most = each, count
            if most == len(wanted):
                break
        names = ", ".join(sorted(wanted))
        if best is None:
            return None, (
                f"no reasoner has learned {names}; `cortigraph reason train --graph all` trains one, and "
                f"`cortigraph reason refresh {kept[0].id}` lets that one learn what is new"
            )
        if best is kept[0]:
            return self._before(best.id, graph), ""
        lacking = ", ".join(sorted(wanted - self._learned(kept[0], graph, wanted)))
        told = f"{best.id} is asked, because {kept[0].id}, which was trained last, has not learned {lacking}"
        return self._before(best.id, graph), told

    def sight(self, knowledge: Knowledge, thought: Thought) -> Sight:
        """What a reasoner sees of a graph that may be larger than its part.

        Args:
            knowledge: The graph.
            thought: The reasoner before its part.
        """
        pair = (knowledge, thought)
        if pair not in self._sights:
            self._sights[pair] = Sight(knowledge, thought)
        return self._sights[pair]

    def shelf(self) -> list[Shelved]:
        """The reasoners that the graph knows, the one trained last first."""
        if self._shelf is None:
            self._shelf = shelf.shelved(self.store)
        return self._shelf

    def _look(self) -> None:
        """Forgets what was known of another version of the store."""
        version = self.store.version()
        if version != self._version:
            self._version, self._shelf = version, None
            self._thoughts.clear()
            self._parts.clear()
            self._sights.clear()

    def _known(self, selection: Selection) -> Knowledge:
        if selection not in self._parts:
            self._parts[selection] = know(self.store, self.home, selection)
        return self._parts[selection]

    def _learned(self, kept: Shelved, graph: str | None, relations: set[str]) -> set[str]:
        """Which of some relations a reasoner knows; whether the graph has such facts is not looked at."""
        reasoner, _, own = self._read(shelf.file_of(self.home, kept.weights))
        limits, types = reasoner.limits().relations, Selection.parse(graph or own).types
        told = (each for each in (limits, types) if each is not None)
        return relations.intersection(*told)

    def _read(self, path: Path) -> tuple[Reasoner, Calibration, str]:
        if path not in self._loaded:
            found = artefact.load(path)
            calibration = Calibration.from_json(found.about.get("calibration"))
            self._loaded[path] = (found.reasoner, calibration, str(found.about.get("graph", "all")))
        return self._loaded[path]

    def _before(self, reasoner: str | None, graph: str | None) -> Thought:
        if (reasoner, graph) not in self._thoughts:
            self._thoughts[reasoner, graph] = self._think(reasoner, graph)
        return self._thoughts[reasoner, graph]

    def _think(self, reasoner: str | None, graph: str | None) -> Thought:
        known = self.shelf()
        if reasoner is None and not known:
            raise InputError("there is no reasoner yet; `cortigraph reason train --graph all` trains one")
        which = reasoner if reasoner is not None else known[0].id
        path = shelf.file_of(self.home, which, known)
        loaded, calibration, own = self._read(path)
        knowledge = self._known(Selection.parse(graph if graph is not None else own))
        name = next((each.id for each in known if shelf.file_of(self.home, each.id, known) == path), which)
        return Thought(loaded, name, calibration, knowledge, view(knowledge.facts, loaded.limits()))

"""The mind: the graph as facts and the reasoner in use, kept warm between questions for as long as both stay the same.

What is asked is answered over the graph as it is now: each question asks the store for its version, and only if that
has changed is anything read again. A reasoner need not be trained again for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.asking import shelf
from cortigraph.reasoning.asking.knowledge import Knowledge, know
from cortigraph.reasoning.asking.selection import Selection
from cortigraph.reasoning.reasoners import artefact
from cortigraph.reasoning.reasoners.base import Reasoner
from cortigraph.reasoning.reasoners.calibration import Calibration
from cortigraph.reasoning.reasoners.evaluate import Known
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.view import View, view

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store

__all__ = ["Mind", "Thought"]

_BATCHES = "MATCH (b:Batch&!Entity) RETURN b.number AS number, b.key AS key"


@dataclass(frozen=True, eq=False)
class Thought:
    """A reasoner before the present graph.

    Args:
        reasoner: Which.
        name: What it is called.
        calibration: What its scores are worth.
        knowledge: The graph.
        view: What the reasoner sees of it.
        batch_keys: Number of a batch → its key.
    """

    reasoner: Reasoner
    name: str
    calibration: Calibration
    knowledge: Knowledge
    view: View
    batch_keys: dict[int, str]

    @property
    def facts(self) -> Facts:
        """What the reasoner sees."""
        return self.view.facts

    @cached_property
    def known(self) -> Known:
        """The answers that the graph holds, by the rows of what the reasoner sees."""
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


class Mind:
    """Reasoners and facts of one store, ready to be asked.

    Args:
        store: The graph.
        home: Where reasoners and snapshots lie.
    """

    def __init__(self, store: Store, home: Home) -> None:
        self.store, self.home = store, home
        self._version = ""
        self._thoughts: dict[tuple[str | None, str | None], Thought] = {}
        self._knowledge: dict[Selection, Knowledge] = {}
        self._loaded: dict[str, tuple[Reasoner, Calibration, str]] = {}

    def thought(self, reasoner: str | None = None, graph: str | None = None) -> Thought:
        """A reasoner before the graph as it is now.

        Args:
            reasoner: Its name, key, hash or file; else the one that was trained last.
            graph: What part of the graph; else what it was trained on.

        Raises:
            UnknownKeyError: There is no such reasoner.
            InputError: There is none at all.
        """
        version = self.store.version()
        if version != self._version:
            self._version = version
            self._thoughts.clear()
            self._knowledge.clear()
        if (reasoner, graph) not in self._thoughts:
            self._thoughts[reasoner, graph] = self._think(reasoner, graph)
        return self._thoughts[reasoner, graph]

    def _think(self, reasoner: str | None, graph: str | None) -> Thought:
        known = shelf.shelved(self.store)
        if reasoner is None and not known:
            raise InputError("there is no reasoner yet; `cortigraph reason train --graph all` trains one")
        which = reasoner if reasoner is not None else known[0].id
        path = shelf.file_of(self.home, which, known)
        place = str(path)
        if place not in self._loaded:
            found = artefact.load(path)
            calibration = Calibration.from_json(found.about.get("calibration"))
            self._loaded[place] = (found.reasoner, calibration, str(found.about.get("graph", "all")))
        loaded, calibration, own = self._loaded[place]
        selection = Selection.parse(graph if graph is not None else own)
        if selection not in self._knowledge:
            self._knowledge[selection] = know(self.store, self.home, selection)
        knowledge = self._knowledge[selection]
        name = next((each.id for each in known if str(shelf.file_of(self.home, each.id, known)) == place), which)
        keys = {int(row["number"]): str(row["key"]) for row in self.store.read(_BATCHES) if row["number"] is not None}
        return Thought(loaded, name, calibration, knowledge, view(knowledge.facts, loaded.limits()), keys)

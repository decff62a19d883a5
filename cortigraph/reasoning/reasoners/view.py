"""Views: facts as a reasoner can take them, without the relations and entities that it does not know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cortigraph.reasoning.reasoners.base import Limits
from cortigraph.reasoning.reasoners.facts import Facts, renumbered
from cortigraph.reasoning.reasoners.structure import Rows

__all__ = ["View", "view"]


@dataclass(frozen=True, eq=False)
class View:
    """What a reasoner sees of facts.

    Args:
        facts: Those that it can take, over the entities and relations that it knows.
        whole: All of them.
        rows: For each entity of `facts` its row in `whole`.
        places: For each entity of `whole` its row in `facts`, or -1.
    """

    facts: Facts
    whole: Facts
    rows: Rows
    places: Rows

    @property
    def unseen(self) -> int:
        """How many entities the reasoner does not know."""
        return len(self.places) - len(self.rows)

    @property
    def unread(self) -> tuple[str, ...]:
        """Names of relations that the reasoner does not know."""
        known = set(self.facts.relations)
        return tuple(name for name in self.whole.relations if name not in known)


def view(facts: Facts, limits: Limits) -> View:
    """What can be taken of facts.

    Args:
        facts: Any.
        limits: What the reasoner knows.
    """
    every = np.arange(len(facts.entities))
    triples, relations, entities, rows, places = facts.triples, facts.relations, facts.entities, every, every
    if limits.relations is not None and not set(relations) <= set(limits.relations):
        relations = tuple(name for name in relations if name in set(limits.relations))
        numbers = renumbered(facts.relations, relations)[: len(facts.relations)]
        triples = triples[numbers[triples[:, 1]] >= 0]
        triples = np.stack([triples[:, 0], numbers[triples[:, 1]], triples[:, 2]], axis=1)
    if limits.entities is not None:
        entities = facts.entities.shared(limits.entities)
        if len(entities) < len(facts.entities):
            rows = facts.entities.rows(entities)
            places = np.full(len(facts.entities), -1, dtype=np.int64)
            places[rows] = np.arange(len(rows))
            triples = np.stack([places[triples[:, 0]], triples[:, 1], places[triples[:, 2]]], axis=1)
            triples = triples[(triples >= 0).all(axis=1)]
        else:
            entities = facts.entities
    same = triples is facts.triples and entities is facts.entities and relations is facts.relations
    return View(facts if same else Facts(entities, relations, triples), facts, rows, places)

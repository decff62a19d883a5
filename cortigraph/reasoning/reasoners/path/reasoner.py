"""Path reasoners: they answer about entities and graphs that they never saw.

path        knows relations by name
foundation  knows them by how they meet, and so answers about any
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.reasoning.reasoners.base import Limits, Reasoner, Scores, check_queries
from cortigraph.reasoning.reasoners.facts import Facts, renumbered
from cortigraph.reasoning.reasoners.path.gradients import Trace
from cortigraph.reasoning.reasoners.path.lexicon import LearnedLexicon, Lexicon, StructuralLexicon
from cortigraph.reasoning.reasoners.path.network import PathNetwork
from cortigraph.reasoning.reasoners.path.settings import FoundationSettings, PathSettings
from cortigraph.reasoning.reasoners.structure import Rows, Structure

__all__ = ["FoundationReasoner", "PathReasoner"]


class PathReasoner(Reasoner):
    """Scores entities by the paths that lead to them.

    Args:
        relations: The names of those that it knows, by number.
        settings: How it is built.
    """

    name: ClassVar[str] = "path"
    inductive: ClassVar[bool] = True
    batch: ClassVar[int] = 32

    def __init__(self, relations: tuple[str, ...], settings: PathSettings) -> None:
        self.relations, self.settings = relations, settings
        self._edges: WeakKeyDictionary[Facts, Structure] = WeakKeyDictionary()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = PathNetwork(self._lexicon(), settings.width, settings.layers, settings.dropout)

    def _lexicon(self) -> Lexicon:
        return LearnedLexicon(2 * len(self.relations), self.settings.width, self.settings.layers)

    def score(self, facts: Facts, queries: Rows) -> Scores:
        queries = check_queries(facts, queries)
        if not len(queries):
            return np.zeros((0, len(facts.entities)), dtype=np.float32)
        edges, relations = self.aligned(facts, queries[:, 1])
        self.network.eval()
        with torch.inference_mode():
            return np.asarray(self.forward(edges, queries[:, 0].copy(), relations).cpu().numpy(), dtype=np.float32)

    def forward(
        self,
        edges: Structure,
        heads: Rows,
        relations: Rows,
        hidden: Rows | None = None,
        trace: Trace | None = None,
    ) -> Tensor:
        """Scores of all entities, differentiable: (batch, entities).

        Args:
            edges: As the network numbers relations.
            heads: (batch).
            relations: (batch).
            hidden: For each query a fact that it must not see: (batch, 3). Only on the way outwards.
            trace: Notes all sums of messages.
        """
        if self.goes_everywhere(edges):
            return self.network.everywhere(heads, relations, edges, trace)
        most = self.settings.most
        if not self.network.training:
            most = self.settings.most_asked or most
        return self.network.outwards(heads, relations, edges, hidden, most, trace)

    def goes_everywhere(self, edges: Structure) -> bool:
        """Whether states of all entities of a graph are kept."""
        way = self.settings.way
        return way == "everywhere" or (way == "auto" and edges.nodes <= self.settings.everywhere_up_to)

    def aligned(self, facts: Facts, asked: Rows) -> tuple[Structure, Rows]:
        """Edges and relations that are asked for, in the network's own numbers.

        Raises:
            UnknownKeyError: The facts have relations that it was not trained on.
        """
        if facts.relations == self.relations:
            return facts.edges, np.ascontiguousarray(asked)
        own = renumbered(facts.relations, self.relations)
        if (own < 0).any():
            name = facts.relations[int(np.argmin(own))]
            raise UnknownKeyError("relation", name, self.relations, where="in what the reasoner was trained on")
        if facts not in self._edges:  # sorted once, not for every batch
            edges = facts.edges
            triples = np.stack([edges.source, own[edges.relation], edges.target], axis=1)
            self._edges[facts] = Structure.of(triples, nodes=edges.nodes, relations=2 * len(self.relations))
        return self._edges[facts], own[asked]

    @contextmanager
    def on_device(self) -> Iterator[None]:
        network, before = self.network, self.network.unreached.weight.device
        network.to("cuda" if self.settings.device != "cpu" and torch.cuda.is_available() else "cpu")
        try:
            yield
        except torch.OutOfMemoryError:
            told = "the GPU's memory is too small for this; choose a smaller batch, most or most_asked, or device=cpu"
            raise InputError(told) from None
        finally:
            network.to(before)

    def limits(self) -> Limits:
        return Limits(self.relations)

    def take(self, other: PathReasoner) -> None:
        """Takes what another reasoner of the same shape has learned of the relations that both know.

        Args:
            other: Trained before, perhaps on other relations.

        Raises:
            InputError: It has another width, or another number of layers.
        """
        self._check_shape(other)
        own = torch.from_numpy(renumbered(other.relations, self.relations))
        known = own >= 0
        rows, there, count = own[known], torch.nonzero(known).squeeze(1), 2 * len(other.relations)
        mine, its = self.network.state_dict(), other.network.state_dict()
        with torch.no_grad():
            for name, value in its.items():
                if not _by_relation(name):
                    mine[name].copy_(value)
                    continue
                # Whatever has rows for each relation is cut into these, and taken one by one.
                into = mine[name].view(2 * len(self.relations), -1)
                into[rows] = value.view(count, -1)[there]

    def _check_shape(self, other: PathReasoner) -> None:
        shapes = [(one.settings.width, one.settings.layers) for one in (self, other)]
        if shapes[0] != shapes[1]:
            raise InputError(f"width and layers are {shapes[0]} here, {shapes[1]} there; they must be the same")

    def config(self) -> Mapping[str, Any]:
        return {"relations": list(self.relations), "settings": self.settings.model_dump()}

    def state(self) -> Mapping[str, Tensor]:
        return {name: value.detach() for name, value in self.network.state_dict().items()}

    @classmethod
    def restore(cls, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> PathReasoner:
        made = cls(tuple(config["relations"]), PathSettings.model_validate(config["settings"]))
        made.network.load_state_dict(dict(state))
        return made


def _by_relation(name: str) -> bool:
    """Whether a part of the network has rows for each relation."""
    return name == "lexicon.query.weight" or name.startswith("lexicon.meanings.")


class FoundationReasoner(PathReasoner):
    """Scores entities by the paths that lead to them, on any graph and with any relations.

    Args:
        settings: How it is built.
    """

    name: ClassVar[str] = "foundation"
    settings: FoundationSettings

    def __init__(self, settings: FoundationSettings) -> None:
        super().__init__((), settings)

    def _lexicon(self) -> Lexicon:
        chosen = self.settings
        return StructuralLexicon(chosen.width, chosen.layers, chosen.relation_steps, chosen.dropout)

    def limits(self) -> Limits:
        return Limits()

    def take(self, other: PathReasoner) -> None:
        self._check_shape(other)
        self.network.load_state_dict(other.network.state_dict())

    def aligned(self, facts: Facts, asked: Rows) -> tuple[Structure, Rows]:
        return facts.edges, np.ascontiguousarray(asked)

    @classmethod
    def restore(cls, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> FoundationReasoner:
        made = cls(FoundationSettings.model_validate(config["settings"]))
        made.network.load_state_dict(dict(state))
        return made

"""The way outwards in torch alone: on a GPU, or where compiled loops are not wanted.

It goes the steps of `PathNetwork.outwards`, for all queries of a batch at once, and gives the same numbers up to
rounding: rows have the same order, and the same channels are dropped. A table of queries × entities says which row an
entity has, so memory grows with both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from cortigraph.reasoning.reasoners.base import EXCLUDED
from cortigraph.reasoning.reasoners.links import Links, counted, ordered
from cortigraph.reasoning.reasoners.path.dropped import kept
from cortigraph.reasoning.reasoners.path.layer import TensorWay
from cortigraph.reasoning.reasoners.structure import Rows, Structure

if TYPE_CHECKING:
    from cortigraph.reasoning.reasoners.path.network import PathNetwork

__all__ = ["outwards"]


@dataclass(frozen=True, eq=False)
class _Graph:
    """Edges by source: where those of each node begin, their targets and relations."""

    first: Tensor
    target: Tensor
    relation: Tensor
    nodes: int
    relations: int


@dataclass(frozen=True, eq=False)
class _Reached:
    """The query and the entity of each row, query by query; how many rows each query has."""

    query: Tensor
    entity: Tensor
    counts: Tensor

    def key(self, nodes: int) -> Tensor:
        """Where each row stands in a table of queries × entities."""
        return self.query * nodes + self.entity


@dataclass(frozen=True, eq=False)
class _Step:
    """What is reached after a step, the row that each has now which was before, and the edges to it."""

    reached: _Reached
    old: Tensor
    links: Links

    @property
    def way(self) -> TensorWay:
        counts = self.reached.counts
        return TensorWay(self.links, torch.cumsum(counts, 0) - counts, self.old)  # the head is the first

    @property
    def fresh(self) -> Tensor:
        """Which rows were not reached before."""
        fresh: Tensor = torch.ones_like(self.reached.query, dtype=torch.bool)
        return fresh.index_fill_(0, self.old, False)


def outwards(
    network: PathNetwork,
    query: Tensor,
    context: Tensor,
    heads: Rows,
    edges: Structure,
    hidden: Rows | None,
    most: int | None,
) -> Tensor:
    """Scores, by states of what paths have reached: see `PathNetwork.outwards`.

    Args:
        network: Whose.
        query: What is asked: (batch, width).
        context: What relations mean for it.
        heads: (batch).
        edges: Of the graph, in both directions.
        hidden: For each query an edge that it must not see: (batch, 3).
        most: How many newly reached entities a step keeps for each query; else all.

    Returns:
        (batch, entities).
    """
    graph, last = _graph(edges, query.device), len(network.layers) - 1
    unseen = None if hidden is None else torch.as_tensor(hidden, device=query.device)
    asked = torch.arange(len(heads), device=query.device)
    reached, state = _Reached(asked, torch.as_tensor(heads, device=query.device), torch.ones_like(asked)), query
    missing, gate = network.unreached(query).expand(-1, graph.nodes), network.gate(most is not None)
    further = query.new_zeros(())
    for number in range(last + 1):
        layer, table = network.step(number), network.lexicon.meaning(number, context).reshape(-1, query.shape[1])
        step = _expand(reached, graph, unseen)
        if most is not None and (number < last or torch.is_grad_enabled()):
            with torch.no_grad():
                after, worth = layer(state, table, query, step.way, gate, drops=False)
                assert worth is not None  # there is a gate
                if number < last:
                    stays = _best(step, worth, most)
                else:
                    score = network.judged(after, query, step.reached.query)
                    stays, further = _drawn(step, score, most, unseen, int(torch.randint(2**31, ())))
            if number == last:
                every = step.reached
                missing = missing.index_put((every.query, every.entity), query.new_tensor(EXCLUDED))
            step = _narrowed(step, stays)
        state, _ = layer(state, table, query, step.way, gate)
        reached = step.reached
    told = network.judged(state, query, reached.query) + further
    found: Tensor = missing.index_put((reached.query, reached.entity), told)
    return found


def _expand(before: _Reached, graph: _Graph, hidden: Tensor | None) -> _Step:
    """All edges that leave what is reached, but for the hidden ones."""
    rows, queries, nodes = len(before.query), len(before.counts), graph.nodes
    begin = graph.first[before.entity]
    degree = graph.first[before.entity + 1] - begin
    source = torch.repeat_interleave(degree, output_size=int(degree.sum()))
    edge = torch.arange(len(source), device=source.device) + (begin - torch.cumsum(degree, 0) + degree)[source]
    target, relation = graph.target[edge], graph.relation[edge]
    if hidden is not None:
        seen = torch.nonzero(_seen(hidden, before, source, target, relation, graph.relations // 2)).squeeze(1)
        source, target, relation = (each[seen] for each in (source, target, relation))
    query = before.query[source]
    key, turn = query * nodes + target, torch.arange(len(source), device=source.device)
    places = key.new_full((queries * nodes,), -1)
    places[before.key(nodes)] = torch.arange(rows, device=key.device)
    first = key.new_full((queries * nodes,), len(key)).scatter_reduce_(0, key, turn, "amin")
    new = torch.nonzero((places[key] < 0) & (first[key] == turn)).squeeze(1)
    more = counted(query[new], queries)
    old = torch.arange(rows, device=key.device) + (torch.cumsum(more, 0) - more)[before.query]
    fresh = torch.arange(len(new), device=key.device) + torch.cumsum(before.counts, 0)[query[new]]
    asked, entity = key.new_empty(rows + len(new)), key.new_empty(rows + len(new))
    asked[old], asked[fresh] = before.query, query[new]
    entity[old], entity[fresh] = before.entity, target[new]
    after = _Reached(asked, entity, before.counts + more)
    places[after.key(nodes)] = torch.arange(len(asked), device=key.device)
    kinds = query * graph.relations + relation
    return _Step(after, old, Links(source, kinds, places[key], rows, queries * graph.relations, len(asked)))


def _seen(hidden: Tensor, before: _Reached, source: Tensor, target: Tensor, relation: Tensor, half: int) -> Tensor:
    """Which edges their query may see: not the hidden one, in neither direction; without a kind none between the two.

    Args:
        hidden: Of each query: head, relation and tail.
        before: Where the edges begin.
        source: The row that each leaves.
        target: The entity that it reaches.
        relation: Of each.
        half: How many relations there are in one direction.
    """
    ends = (before.entity == hidden[:, 0][before.query]) | (before.entity == hidden[:, 2][before.query])
    near = torch.nonzero(ends[source]).squeeze(1)  # few, and only they can be hidden
    head, kind, tail = hidden[before.query[source[near]]].unbind(dim=1)
    one, other, by = before.entity[source[near]], target[near], relation[near]
    back = torch.where(kind >= half, kind - half, kind + half)
    hides = (one == head) & (other == tail) & ((kind < 0) | (by == kind))
    hides |= (one == tail) & (other == head) & ((kind < 0) | (by == back))
    return torch.ones_like(source, dtype=torch.bool).index_fill_(0, near[hides], False)


def _best(step: _Step, value: Tensor, most: int) -> Tensor:
    """Which rows stay: those that were reached before, and of the others for each query the best, at most so many."""
    fresh = step.fresh
    rows = torch.nonzero(fresh).squeeze(1)
    rows = rows[torch.argsort(value[rows], descending=True, stable=True)]
    rows = rows[ordered(step.reached.query[rows])]
    query = step.reached.query[rows]
    counts = counted(query, len(step.reached.counts))
    rank = torch.arange(len(rows), device=rows.device) - (torch.cumsum(counts, 0) - counts)[query]
    return (~fresh).index_fill_(0, rows[rank < most], True)


def _drawn(step: _Step, value: Tensor, most: int, hidden: Tensor | None, seed: int) -> tuple[Tensor, Tensor]:
    """Which rows stay to be learned from, and the logarithm of how many each of these stands for.

    The best, the answer, and about half as many others, drawn from the rest.
    """
    query, entity = step.reached.query, step.reached.entity
    stays, others = _best(step, value, most), max(1, most // 2)
    if hidden is not None:
        stays |= entity == hidden[:, 2][query]
    counts = counted(query[step.fresh], len(step.reached.counts))
    rest = torch.clamp(counts - most, min=others).double()
    drawn = kept(entity, seed + query, 1 - others / rest[query]) & ~stays
    stands = torch.where(drawn, torch.log(rest / others)[query], rest.new_zeros(()))
    stays |= drawn
    return stays, stands[stays].to(value.dtype)


def _narrowed(step: _Step, stays: Tensor) -> _Step:
    """The same step to fewer rows."""
    number, links, reached = torch.cumsum(stays, 0) - 1, step.links, step.reached
    query = reached.query[stays]
    along = torch.nonzero(stays[links.target]).squeeze(1)
    fewer = Links(
        links.source[along], links.relation[along], number[links.target[along]],
        links.sources, links.relations, len(query),
    )  # fmt: skip
    return _Step(_Reached(query, reached.entity[stays], counted(query, len(reached.counts))), number[step.old], fewer)


_graphs: WeakKeyDictionary[Structure, dict[torch.device, _Graph]] = WeakKeyDictionary()


def _graph(edges: Structure, device: torch.device) -> _Graph:
    """A graph on a device, where it stays as long as it is used."""
    known = _graphs.setdefault(edges, {})
    if device not in known:
        out = edges.by_source
        first, target, relation = (torch.as_tensor(each, device=device) for each in (out.first, out.left, out.right))
        known[device] = _Graph(first, target, relation, edges.nodes, edges.relations)
    return known[device]

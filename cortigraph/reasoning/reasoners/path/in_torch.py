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
from cortigraph.reasoning.reasoners.links import Links, begins
from cortigraph.reasoning.reasoners.path.dropped import kept
from cortigraph.reasoning.reasoners.path.layer import TensorWay
from cortigraph.reasoning.reasoners.structure import Rows, Structure

if TYPE_CHECKING:
    from cortigraph.reasoning.reasoners.path.gradients import Trace
    from cortigraph.reasoning.reasoners.path.network import PathNetwork

__all__ = ["outwards"]


@dataclass(frozen=True, eq=False)
class _Graph:
    """Edges by source: where those of each node begin, how many it has, their targets and relations."""

    first: Tensor
    degree: Tensor
    target: Tensor
    relation: Tensor
    nodes: int
    relations: int


@dataclass(frozen=True, eq=False)
class _Reached:
    """The query and the entity of each row, query by query, and where each query begins: (queries + 1)."""

    query: Tensor
    entity: Tensor
    first: Tensor

    def key(self, nodes: int) -> Tensor:
        """Where each row stands in a table of queries × entities."""
        return self.query * nodes + self.entity


@dataclass(frozen=True, eq=False)
class _Step:
    """What is reached after a step, the row that each has now which was before, and the edges to all."""

    reached: _Reached
    old: Tensor
    links: Links

    @property
    def way(self) -> TensorWay:
        return TensorWay(self.links, self.reached.first[:-1], self.old)  # the head is the first


@dataclass(frozen=True, eq=False)
class _Fresh:
    """The new rows of a step, query by query: the query of each, and where each query begins: (queries + 1)."""

    rows: Tensor
    query: Tensor
    first: Tensor


def outwards(
    network: PathNetwork,
    query: Tensor,
    context: Tensor,
    heads: Rows,
    edges: Structure,
    hidden: Rows | None,
    most: int | None,
    trace: Trace | None = None,
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
        trace: Notes what is reached before each step.

    Returns:
        (batch, entities).
    """
    graph, last = _graph(edges, query.device), len(network.layers) - 1
    unseen = None if hidden is None else torch.as_tensor(hidden, device=query.device)
    asked = torch.arange(len(heads) + 1, device=query.device)
    reached, state = _Reached(asked[:-1], torch.as_tensor(heads, device=query.device), asked), query
    missing, gate = network.unreached(query).expand(-1, graph.nodes), network.gate(most is not None)
    further = query.new_zeros(())
    for number in range(last + 1):
        layer, table = network.step(number), network.lexicon.meaning(number, context).reshape(-1, query.shape[1])
        if trace is not None:
            trace.reached(reached.entity.cpu().numpy())
        step, fresh = _expand(reached, graph, unseen)
        if most is not None and (number < last or torch.is_grad_enabled()):
            with torch.no_grad():
                after, worth = layer(state, table, query, step.way, gate, drops=False)
                assert worth is not None  # there is a gate
                if number < last:
                    stays = _best(step, fresh, worth, most)
                else:
                    score = network.judged(after, query, step.reached.query)
                    stays, stands = _drawn(step, fresh, score, most, unseen, int(torch.randint(2**31, ())))
                    further = stands[stays]
            if number == last:
                every = step.reached
                missing = missing.index_put((every.query, every.entity), query.new_tensor(EXCLUDED))
            step = _narrowed(step, stays)
        state, _ = layer(state, table, query, step.way, gate)
        reached = step.reached
    told = network.judged(state, query, reached.query) + further
    found: Tensor = missing.index_put((reached.query, reached.entity), told)
    return found


def _expand(before: _Reached, graph: _Graph, hidden: Tensor | None) -> tuple[_Step, _Fresh]:
    """All edges that leave what is reached, but for the hidden ones."""
    rows, queries, nodes = len(before.query), len(before.first) - 1, graph.nodes
    degree = graph.degree.index_select(0, before.entity)
    ends = torch.cumsum(degree, 0)
    shift = graph.first.index_select(0, before.entity) - ends + degree
    source = torch.repeat_interleave(degree, output_size=int(ends[-1]))
    edge = shift.index_select(0, source).add_(torch.arange(len(source), device=source.device))
    target, relation = graph.target.index_select(0, edge), graph.relation.index_select(0, edge)
    if hidden is not None:
        seen = torch.nonzero(_seen(hidden, before, source, target, relation, graph.relations // 2)).squeeze(1)
        source, target, relation = (each.index_select(0, seen) for each in (source, target, relation))
    kinds = (before.query * graph.relations).index_select(0, source).add_(relation)
    key = (before.query * nodes).index_select(0, source).add_(target)
    # A table says which edge came first to what was not reached before; then, which row it has.
    turn = torch.arange(len(key), device=key.device)
    places = key.new_full((queries * nodes,), len(key)).index_fill_(0, before.key(nodes), -1)
    places.scatter_reduce_(0, key, turn, "amin")
    new = torch.nonzero(places.index_select(0, key) == turn).squeeze(1)
    query = before.query.index_select(0, source.index_select(0, new))
    more = begins(query, queries)
    old = torch.arange(rows, device=key.device) + more.index_select(0, before.query)
    fresh = torch.arange(len(new), device=key.device) + before.first.index_select(0, query + 1)
    order = torch.cat([old, fresh])
    asked, entity = key.new_empty(len(order)), key.new_empty(len(order))
    asked.index_copy_(0, order, torch.cat([before.query, query]))
    entity.index_copy_(0, order, torch.cat([before.entity, target.index_select(0, new)]))
    after = _Reached(asked, entity, before.first + more)
    places.index_copy_(0, after.key(nodes), torch.arange(len(order), device=key.device))
    to = places.index_select(0, key)
    links = Links(source, kinds, to, rows, queries * graph.relations, len(order))
    return _Step(after, old, links), _Fresh(fresh, query, more)


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
    by_row = hidden.index_select(0, before.query)
    ends = (before.entity == by_row[:, 0]) | (before.entity == by_row[:, 2])
    near = torch.nonzero(ends.index_select(0, source)).squeeze(1)  # few, and only they can be hidden
    row, other, by = (each.index_select(0, near) for each in (source, target, relation))
    one, (head, kind, tail) = before.entity.index_select(0, row), by_row.index_select(0, row).unbind(dim=1)
    back = torch.where(kind >= half, kind - half, kind + half)
    hides = (one == head) & (other == tail) & ((kind < 0) | (by == kind))
    hides |= (one == tail) & (other == head) & ((kind < 0) | (by == back))
    return torch.ones_like(source, dtype=torch.bool).index_copy_(0, near, ~hides)


def _best(step: _Step, fresh: _Fresh, value: Tensor, most: int) -> Tensor:
    """Which rows stay: those that were reached before, and of the others for each query the best, at most so many."""
    best = torch.sort(-value.index_select(0, fresh.rows), stable=True).indices
    by_query = torch.sort(fresh.query.index_select(0, best).to(torch.int32), stable=True).indices
    rows = fresh.rows.index_select(0, best.index_select(0, by_query))
    rank = torch.arange(len(rows), device=rows.device) - fresh.first.index_select(0, fresh.query)
    stays = torch.zeros_like(step.reached.query, dtype=torch.bool).index_fill_(0, step.old, True)
    return stays.index_copy_(0, rows, rank < most)


def _drawn(
    step: _Step, fresh: _Fresh, value: Tensor, most: int, hidden: Tensor | None, seed: int
) -> tuple[Tensor, Tensor]:
    """Which rows stay to be learned from, and for each the logarithm of how many it stands for.

    The best, the answer, and about half as many others, drawn from the rest.
    """
    query, entity = step.reached.query, step.reached.entity
    stays, others = _best(step, fresh, value, most), max(1, most // 2)
    if hidden is not None:
        stays |= entity == hidden[:, 2].index_select(0, query)
    rest = torch.clamp(torch.diff(fresh.first) - most, min=others).double()
    drawn = kept(entity, seed + query, (1 - others / rest).index_select(0, query)) & ~stays
    stands = torch.where(drawn, torch.log(rest / others).index_select(0, query), 0.0)
    return stays | drawn, stands.to(value.dtype)


def _narrowed(step: _Step, stays: Tensor) -> _Step:
    """The same step to fewer rows."""
    links, reached, number = step.links, step.reached, torch.cumsum(stays, 0) - 1
    rows = torch.nonzero(stays).squeeze(1)
    query, entity = reached.query.index_select(0, rows), reached.entity.index_select(0, rows)
    along = torch.nonzero(stays.index_select(0, links.target)).squeeze(1)
    source, kinds, to = (each.index_select(0, along) for each in (links.source, links.relation, links.target))
    fewer = Links(source, kinds, number.index_select(0, to), links.sources, links.relations, len(rows))
    after = _Reached(query, entity, begins(query, len(reached.first) - 1))
    return _Step(after, number.index_select(0, step.old), fewer)


_graphs: WeakKeyDictionary[Structure, dict[torch.device, _Graph]] = WeakKeyDictionary()


def _graph(edges: Structure, device: torch.device) -> _Graph:
    """A graph on a device, where it stays as long as it is used."""
    known = _graphs.setdefault(edges, {})
    if device not in known:
        out = edges.by_source
        first, target, relation = (torch.as_tensor(each, device=device) for each in (out.first, out.left, out.right))
        known[device] = _Graph(first, torch.diff(first), target, relation, edges.nodes, edges.relations)
    return known[device]

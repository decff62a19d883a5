"""An ensemble: several reasoners, and how much to trust each for each relation, learned on facts held out.

What a member says counts as logarithms of shares that sum to 1 over all entities; these are summed with one weight for
each member and relation: a logarithmic opinion pool (Genest & Zidek 1986). So a member that is sure of its answer
outweighs one that is not, query by query. A relation's weights stay near common ones unless its facts speak for
others, so a rare relation gets what suits all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.reasoners.base import Limits, Reasoner, Scores, check_queries
from cortigraph.reasoning.reasoners.evaluate import Known
from cortigraph.reasoning.reasoners.facts import Facts, inverse, renumbered
from cortigraph.reasoning.reasoners.pace import seconds_a_query, spread
from cortigraph.reasoning.reasoners.structure import Rows

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Ensemble", "log_shares", "train_ensemble"]

Weights = NDArray[np.float32]
_NEAREST = 100
_STEPS, _RATE, _PULL = 300, 0.05, 1.0
_SCALED_BY = 256  # so many queries say how far apart a member's scores lie
_POOL = "logarithmic"


class Ensemble(Reasoner):
    """Answers by a weighted sum of what its members answer.

    Args:
        members: At least one.
        relations: Names of the relations that have weights of their own.
        weights: (2 · relations + 1, members), none negative; the last row is for all other relations.
    """

    name: ClassVar[str] = "ensemble"
    inductive: ClassVar[bool] = False  # of the class; an ensemble of inductive members answers as they do

    def __init__(self, members: Sequence[Reasoner], relations: Sequence[str], weights: Weights) -> None:
        if not members or weights.shape != (2 * len(relations) + 1, len(members)):
            expected = f"({2 * len(relations) + 1}, {len(members)})"
            raise InputError(f"an ensemble needs members, and weights of shape {expected}, got {weights.shape}")
        self.members, self.relations, self.weights = tuple(members), tuple(relations), weights

    def score(self, facts: Facts, queries: Rows) -> Scores:
        queries = check_queries(facts, queries)
        weights = self.weights[self._rows(facts)[queries[:, 1]]]
        total = np.zeros((len(queries), len(facts.entities)), dtype=np.float32)
        for column, member in zip(weights.T, self.members, strict=True):
            total += column[:, None] * log_shares(member.score(facts, queries))
        return total

    def on_device(self) -> AbstractContextManager[None]:
        return _on_device(self.members)

    def limits(self) -> Limits:
        """What all members know."""
        every = [member.limits() for member in self.members]
        relations = [set(each.relations) for each in every if each.relations is not None]
        common = tuple(sorted(set.intersection(*relations))) if relations else None
        entities = None
        for each in every:
            if each.entities is not None:
                entities = each.entities if entities is None else entities.shared(each.entities)
        return Limits(common, entities)

    def config(self) -> Mapping[str, Any]:
        members = [{"name": member.name, "config": dict(member.config())} for member in self.members]
        return {"relations": list(self.relations), "members": members, "pool": _POOL}

    def state(self) -> Mapping[str, Tensor]:
        import torch

        own = {"weights": torch.from_numpy(self.weights)}
        for number, member in enumerate(self.members):
            own |= {f"{number}.{name}": tensor for name, tensor in member.state().items()}
        return own

    @classmethod
    def restore(cls, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> Ensemble:
        from cortigraph.reasoning.reasoners.registry import kind

        if config.get("pool") != _POOL:
            raise InputError("this ensemble weighs its members in a way of before; train it anew")
        members = []
        for number, told in enumerate(config["members"]):
            start = f"{number}."
            part = {name.removeprefix(start): tensor for name, tensor in state.items() if name.startswith(start)}
            members.append(kind(told["name"]).restore(told["config"], part))
        return cls(members, config["relations"], state["weights"].numpy())

    def _rows(self, facts: Facts) -> Rows:
        """Which row of weights each relation of the facts has, in both directions."""
        found = renumbered(facts.relations, self.relations)
        return np.where(found < 0, 2 * len(self.relations), found)


def log_shares(scores: Scores) -> Scores:
    """Logarithms of the softmax of each row; what is not finite counts as the lowest that is.

    Args:
        scores: (queries, entities).

    Example:
        >>> np.exp(log_shares(np.log(np.array([[1, 3], [2, 2]], np.float32)))).round(2).tolist()
        [[0.25, 0.75], [0.5, 0.5]]
    """
    import torch

    finite = np.isfinite(scores)
    if not finite.all():
        lowest = np.min(scores, axis=1, where=finite, initial=np.inf, keepdims=True)
        scores = np.where(finite, scores, np.where(np.isfinite(lowest), lowest, np.float32(0)))
    found: Scores = torch.log_softmax(torch.from_numpy(np.ascontiguousarray(scores, np.float32)), 1).numpy()
    return found


def train_ensemble(
    members: Sequence[Reasoner],
    facts: Facts,
    valid: Rows,
    *,
    most: int = 5000,
    batch: int = 64,
    seed: int = 0,
    seconds: float | None = None,
) -> Ensemble:
    """Learns how much to trust each member.

    Args:
        members: Trained without the facts held out.
        facts: What they know.
        valid: Facts held out, (any, 3): none leaves all members equal.
        most: So many are used at most, drawn by the seed.
        batch: Queries at a time.
        seed: Of the draw.
        seconds: That it may take; fewer facts are used where there would be no time for more.

    Raises:
        InputError: There are no members.
    """
    with _on_device(members):
        return _learned(members, facts, valid, most, batch, seed, seconds)


def _learned(
    members: Sequence[Reasoner], facts: Facts, valid: Rows, most: int, batch: int, seed: int, seconds: float | None
) -> Ensemble:
    count, draw = len(facts.relations), np.random.default_rng(seed)
    asked = facts.triples[draw.permutation(len(facts))[:_SCALED_BY], :2]
    if seconds is not None and members:
        # A third of the time says how far scores lie apart, a third what they are worth, and a third learns from that.
        each = seconds / 3
        a_query = sum(seconds_a_query(member, facts, asked) for member in members)
        asked = spread(asked, each, a_query)
        most = min(most, len(spread(valid, each, 2 * a_query)))
    scales = _scales(members, facts, [asked[start : start + batch] for start in range(0, len(asked), batch)])
    if not members or not len(valid):
        return Ensemble(members, facts.relations, np.tile(1 / scales, (2 * count + 1, 1)))
    known = Known(np.concatenate([facts.triples, valid]), count)
    chosen = np.sort(draw.permutation(len(valid))[:most])
    both = np.concatenate([valid[chosen], inverse(valid[chosen], count)])
    both = both[np.argsort(both[:, 1], kind="stable")]
    parts = [_features(members, facts, both[start : start + batch], known) for start in range(0, len(both), batch)]
    weights = _fit(np.concatenate(parts) / scales, both[:, 1], 2 * count) / scales
    return Ensemble(members, facts.relations, weights)


@contextmanager
def _on_device(members: Sequence[Reasoner]) -> Iterator[None]:
    with ExitStack() as stack:
        for member in members:
            stack.enter_context(member.on_device())
        yield


def _scales(members: Sequence[Reasoner], facts: Facts, parts: Sequence[Rows]) -> Weights:
    """How far apart the scores of each member lie, so that learning begins where all count alike: (members)."""
    found = np.ones(len(members), dtype=np.float32)
    for number, member in enumerate(members):
        spreads = [log_shares(member.score(facts, np.ascontiguousarray(part))).std(axis=1) for part in parts]
        if spreads:
            found[number] = np.concatenate(spreads).mean()
    return np.where(found > 0, found, np.float32(1))


def _features(members: Sequence[Reasoner], facts: Facts, triples: Rows, known: Known) -> Weights:
    """What members say of answers and their nearest rivals: (facts, 1 + rivals, members); -inf where there is none."""
    queries = np.ascontiguousarray(triples[:, :2])
    scores = np.stack([log_shares(member.score(facts, queries)) for member in members], axis=-1)
    first, true = known.of(queries)
    rows = np.arange(len(queries))
    answers = scores[rows, triples[:, 2]]
    scores[np.repeat(rows, np.diff(first)), true] = -np.inf
    wanted = min(_NEAREST, scores.shape[1])
    nearest = [np.argpartition(-scores[:, :, m], wanted - 1, axis=1)[:, :wanted] for m in range(len(members))]
    rivals = np.sort(np.concatenate(nearest, axis=1), axis=1)
    found = np.take_along_axis(scores, rivals[:, :, None], axis=1)
    found[:, 1:][rivals[:, 1:] == rivals[:, :-1]] = -np.inf  # near for two members is one rival
    return np.concatenate([answers[:, None], found], axis=1)


def _fit(features: Weights, relations: Rows, count: int) -> Weights:
    """Weights under which answers come before rivals: a softmax, and a pull of each relation towards all."""
    import torch
    from torch.nn import functional

    gone = torch.from_numpy(~np.isfinite(features[:, :, 0]))
    inputs = torch.from_numpy(np.where(np.isfinite(features), features, np.float32(0)))
    own, rows = torch.zeros(count, inputs.shape[2], requires_grad=True), torch.from_numpy(relations)
    common = torch.zeros(inputs.shape[2], requires_grad=True)
    optimizer = torch.optim.Adam([common, own], lr=_RATE)
    for _ in range(_STEPS):
        optimizer.zero_grad()
        weights = functional.softplus(common + own)[rows]
        sums = torch.einsum("qcm,qm->qc", inputs, weights).masked_fill(gone, -torch.inf)
        loss = functional.cross_entropy(sums, rows.new_zeros(len(rows)), reduction="sum")
        ((loss + _PULL * own.square().sum()) / len(rows)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        found: Weights = functional.softplus(torch.cat([common + own, common[None]])).numpy()
    return found

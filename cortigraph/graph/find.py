"""Search by meaning and by words, and both joined."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cortigraph.graph import _names, cypher
from cortigraph.graph._reading import chosen_label
from cortigraph.graph._values import checked_vector
from cortigraph.graph.errors import InputError, QueryError
from cortigraph.graph.schema import SEARCHED_LABELS, TEXT_INDEX, TEXT_VECTORS, Executor, Label

__all__ = ["Hit", "escape", "find", "fuse", "meaning", "named", "text", "vector"]

# How strongly the first ranks outweigh the later ones; 60 is the constant of the paper on reciprocal rank fusion.
RANK_CONSTANT = 60
FUSED_DEPTH = 5
SEARCH_DEPTH = 3  # recall@10 .993 instead of .976 (benchmarks/vector_search.py)
FEW_NODES = 10_000  # so many vectors are compared one by one in a few tenths of a second

_SPECIAL = re.compile(r'([+\-!(){}\[\]^"~*?:\\/&|<>=])')
_TOO_MANY = "maxClauseCount"  # what the index says of a query with too many words
_OPERATORS = re.compile(r"\b(AND|OR|NOT|TO)\b")


@dataclass(frozen=True)
class Hit:
    """A node that was found.

    Args:
        key: Of the node.
        label: Its kind; `labels` are all that it has.
        score: Higher is better; comparable within one answer only.
        name: What it is called; its key if it has no name.
        snippet: The beginning of what is said of it.
        labels: All labels of the node, sorted.
    """

    key: str
    label: str
    score: float
    name: str
    snippet: str = ""
    labels: tuple[str, ...] = ()

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Hit:
        """From a row of the store."""
        labels = sorted(row["labels"])
        return cls(**{**row, "label": chosen_label(labels), "labels": tuple(labels)})


@dataclass(frozen=True)
class _Scope:
    """Among what is searched.

    Args:
        kinds: Nodes of these kinds, whatever else they are.
        own: Entities that have one of these labels, which users gave.
    """

    kinds: tuple[str, ...]
    own: tuple[str, ...] = ()

    def __contains__(self, hit: Hit) -> bool:
        return hit.label in self.kinds or (hit.label == Label.ENTITY and bool(set(self.own) & set(hit.labels)))


def _scope(store: Executor, labels: Iterable[str] | None) -> _Scope:
    """Among what is searched, by the labels that a user gave."""
    chosen = _names.listed("labels", labels)
    if chosen is None:
        return _Scope(tuple(map(str, SEARCHED_LABELS)))
    _names.check_labels(store, chosen)
    own = tuple(label for label in chosen if label not in set(Label) and _counted(store, label))
    kinds = tuple(label for label in chosen if label in SEARCHED_LABELS)
    strange = sorted(set(chosen) - {*own, *kinds})
    if strange:
        told = ", ".join(SEARCHED_LABELS)
        raise InputError(f"{', '.join(strange)} can't be searched by words; these can: {told}, and labels of entities")
    return _Scope(kinds, own)


def vector(store: Executor, label: str, embedding: Any, top: int = 10) -> list[Hit]:
    """The nodes whose embeddings lie nearest.

    Args:
        store: An open store.
        label: A label with embeddings.
        embedding: A list or array of that label's dimension.
        top: How many.

    Returns:
        At most `top` hits, best first; the score is the cosine, scaled to 0…1.

    Raises:
        InputError: The label has no embeddings, or the vector has another length.
    """
    numbers = checked_vector(label, embedding)
    return _nearest(store, f"{label}_embedding", numbers, _checked_top(top))


def _nearest(store: Executor, index: str, numbers: list[float], top: int) -> list[Hit]:
    # The index looks along a graph of neighbours: the deeper it looks, the fewer it misses.
    depth = top * SEARCH_DEPTH
    rows = store.read(cypher.NEAREST, index=index, top=top, depth=depth, embedding=numbers)
    return [Hit.of(row) for row in rows]


def _nearest_of(store: Executor, label: str, numbers: list[float], top: int) -> list[Hit]:
    """Of the entities that have a label the nearest: one by one where there are few, else by the index of all."""
    prop = TEXT_VECTORS[Label.ENTITY]
    if _counted(store, label) <= FEW_NODES:
        return [Hit.of(row) for row in store.read(cypher.nearest_of(label, prop), embedding=numbers, top=top)]
    depth = top
    while True:
        everything = _nearest(store, f"{Label.ENTITY}_{prop}", numbers, depth)
        found = [hit for hit in everything if label in hit.labels]
        if len(found) >= top or len(everything) < depth:
            return found[:top]
        depth *= 4


def _counted(store: Executor, label: str) -> int:
    return int(store.read(cypher.counted_nodes(label))[0]["count"])


def meaning(store: Executor, embedding: Any, top: int = 10, labels: Iterable[str] | None = None) -> list[Hit]:
    """The nodes whose texts lie nearest to a text, whatever their label.

    Args:
        store: An open store.
        embedding: The text's vector: (384,).
        top: How many.
        labels: Look among these only: kinds, or labels that users gave to entities.

    Returns:
        At most `top` hits, best first; the score is the cosine, scaled to 0…1.

    Raises:
        InputError: The vector has another length.
        UnknownKeyError: No node has such a label; names those near.
    """
    numbers = checked_vector(Label.ENTITY, embedding)
    wanted = _scope(store, labels)
    hits: list[Hit] = []
    for label, name in TEXT_VECTORS.items():
        if label in wanted.kinds:
            hits += _nearest(store, f"{label}_{name}", numbers, _checked_top(top))
    for label in wanted.own:
        hits += _nearest_of(store, label, numbers, _checked_top(top))
    return sorted(set(hits), key=lambda hit: (-hit.score, hit.label, hit.key))[:top]


def named(store: Executor, name: str, top: int = 10, labels: Iterable[str] | None = None) -> list[Hit]:
    """The nodes that have just this key.

    Args:
        store: An open store.
        name: A key.
        top: How many.
        labels: Look among these only.
    """
    wanted = _scope(store, labels)
    kinds = [*wanted.kinds, *([Label.ENTITY] if wanted.own and Label.ENTITY not in wanted.kinds else [])]
    found = [Hit.of(row) for kind in kinds for row in store.read(cypher.by_key(kind), key=name)]
    return [hit for hit in found if hit in wanted][:top]


def text(store: Executor, query: str, top: int = 10, labels: Iterable[str] | None = None) -> list[Hit]:
    """The nodes whose name, description or text holds the words.

    Args:
        store: An open store.
        query: Plain words; nothing in it is an operator. Of a text that is longer than the index takes (some hundred
            words), the beginning counts.
        top: How many.
        labels: Look among these only: kinds, or labels that users gave to entities.

    Returns:
        At most `top` hits, best first.

    Raises:
        InputError: A label that the index does not cover.
        UnknownKeyError: No node has such a label; names those near.
    """
    wanted = _scope(store, labels)
    asked = {"index": TEXT_INDEX, "top": _checked_top(top), "labels": [*wanted.kinds, *wanted.own]}
    while words := escape(query):
        try:
            rows = store.read(cypher.MATCHING, query=words, **asked)
        except QueryError as error:
            if _TOO_MANY not in str(error):
                raise
            query = query[: len(query) // 2]
        else:
            return [hit for hit in map(Hit.of, rows) if hit in wanted]
    return []


def find(
    store: Executor,
    query: str = "",
    embeddings: Mapping[str, Any] | None = None,
    top: int = 10,
    labels: Iterable[str] | None = None,
) -> list[Hit]:
    """Words and vectors together, joined by reciprocal rank: what both find comes first.

    Args:
        store: An open store.
        query: Plain words.
        embeddings: Per label, the vector to look for.
        top: How many.
        labels: Look among these only.

    Returns:
        At most `top` hits, best first; the score is the sum of 1 / (60 + rank).

    Raises:
        InputError: As for `text` and `vector`.
    """
    chosen = None if labels is None else [str(label) for label in labels]
    rankings = [text(store, query, top * FUSED_DEPTH, chosen)]
    for label, embedding in (embeddings or {}).items():
        if chosen is None or label in chosen:
            rankings.append(vector(store, label, embedding, top * FUSED_DEPTH))
    return fuse(rankings)[:top]


def escape(query: str) -> str:
    """Words as Lucene takes them literally.

    Args:
        query: Whatever a user types.

    Example:
        >>> escape('name:"x" AND (y')
        'name\\\\:\\\\"x\\\\" and \\\\(y'
    """
    lowered = _OPERATORS.sub(lambda match: match.group().lower(), query)
    words = [word for word in lowered.split() if any(character.isalnum() for character in word)]
    return " ".join(_SPECIAL.sub(r"\\\1", word) for word in words)


def fuse(rankings: Sequence[Sequence[Hit]]) -> list[Hit]:
    """Several rankings as one, by reciprocal rank.

    Args:
        rankings: Each best first.
    """
    scores: dict[tuple[str, str], float] = {}
    found: dict[tuple[str, str], Hit] = {}
    for hits in rankings:
        rank, last = 0, None
        for place, hit in enumerate(hits, start=1):
            # Equal scores share a rank: the order in which the server happens to list them must decide nothing.
            rank, last = (rank, last) if hit.score == last else (place, hit.score)
            node = (hit.label, hit.key)
            scores[node] = scores.get(node, 0.0) + 1 / (RANK_CONSTANT + rank)
            found[node] = hit
    order = sorted(scores, key=lambda node: (-scores[node], node))
    return [replace(found[node], score=scores[node]) for node in order]


def _checked_top(top: int) -> int:
    if top < 1:
        raise InputError(f"top must be at least 1, got {top}")
    return top

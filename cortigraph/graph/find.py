"""Search by meaning and by words, and both joined."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cortigraph.graph import cypher
from cortigraph.graph._values import checked_vector
from cortigraph.graph.errors import InputError
from cortigraph.graph.schema import SEARCHED_LABELS, TEXT_INDEX, TEXT_VECTORS, Executor, Label

__all__ = ["Hit", "escape", "find", "fuse", "meaning", "named", "text", "vector"]

# How strongly the first ranks outweigh the later ones; 60 is the constant of the paper on reciprocal rank fusion.
RANK_CONSTANT = 60
FUSED_DEPTH = 5
SEARCH_DEPTH = 3  # recall@10 .993 instead of .976 (benchmarks/vector_search.py)

_SPECIAL = re.compile(r'([+\-!(){}\[\]^"~*?:\\/&|<>=])')
_OPERATORS = re.compile(r"\b(AND|OR|NOT|TO)\b")


@dataclass(frozen=True)
class Hit:
    """A node that was found.

    Args:
        key: Of the node.
        label: Its kind.
        score: Higher is better; comparable within one answer only.
        name: What it is called; its key if it has no name.
        snippet: The beginning of what is said of it.
    """

    key: str
    label: str
    score: float
    name: str
    snippet: str = ""


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
    return [Hit(**row) for row in rows]


def meaning(store: Executor, embedding: Any, top: int = 10, labels: Iterable[str] | None = None) -> list[Hit]:
    """The nodes whose texts lie nearest to a text, whatever their label.

    Args:
        store: An open store.
        embedding: The text's vector: (384,).
        top: How many.
        labels: Look among these only.

    Returns:
        At most `top` hits, best first; the score is the cosine, scaled to 0…1.

    Raises:
        InputError: The vector has another length.
    """
    numbers = checked_vector(Label.ENTITY, embedding)
    wanted = None if labels is None else {str(label) for label in labels}
    hits: list[Hit] = []
    for label, name in TEXT_VECTORS.items():
        if wanted is None or label in wanted:
            hits += _nearest(store, f"{label}_{name}", numbers, _checked_top(top))
    return sorted(hits, key=lambda hit: (-hit.score, hit.label, hit.key))[:top]


def named(store: Executor, name: str, top: int = 10, labels: Iterable[str] | None = None) -> list[Hit]:
    """The nodes that have just this key.

    Args:
        store: An open store.
        name: A key.
        top: How many.
        labels: Look among these only.
    """
    found: list[Hit] = []
    for label in SEARCHED_LABELS if labels is None else labels:
        if label in SEARCHED_LABELS:
            found += [Hit(**row) for row in store.read(cypher.by_key(str(label)), key=name)]
    return found[:top]


def text(store: Executor, query: str, top: int = 10, labels: Iterable[str] | None = None) -> list[Hit]:
    """The nodes whose name, description or text holds the words.

    Args:
        store: An open store.
        query: Plain words; nothing in it is an operator.
        top: How many.
        labels: Look among these only.

    Returns:
        At most `top` hits, best first.

    Raises:
        InputError: A label that the index does not cover.
    """
    chosen = None if labels is None else [str(label) for label in labels]
    strange = sorted(set(chosen or ()) - {str(label) for label in SEARCHED_LABELS})
    if strange:
        raise InputError(f"{', '.join(strange)} can't be searched by words; these can: {', '.join(SEARCHED_LABELS)}")
    words = escape(query)
    if not words:
        return []
    rows = store.read(cypher.MATCHING, index=TEXT_INDEX, query=words, top=_checked_top(top), labels=chosen)
    return [Hit(**row) for row in rows]


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

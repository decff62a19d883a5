"""Search by text: what is called so, what says so, and what means so, in one ranking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cortigraph.graph import find
from cortigraph.graph.errors import InputError
from cortigraph.graph.find import Hit

if TYPE_CHECKING:
    from cortigraph.graph.schema import Executor

__all__ = ["find_text"]

_DEPTH = 5


def find_text(store: Executor, text: str, top: int = 10, labels: Sequence[str] | None = None) -> list[Hit]:
    """The nodes that a text is about.

    Words (full text) and meaning (vectors of entities, regions, data sets and scenes) are ranked apart and joined by
    reciprocal rank; a node whose key is just this text comes before all others.

    Args:
        store: An open store.
        text: Whatever a user types.
        top: How many.
        labels: Look among these only: kinds, or labels that users gave to entities.

    Returns:
        At most `top` hits, best first.

    Raises:
        InputError: A label that can't be searched.
        UnknownKeyError: No node has such a label; names those near.

    Example:
        >>> find_text(store, "noisy speech digits")[0].label  # doctest: +SKIP
        'Dataset'
    """
    from cortigraph.regions.language import embed_text

    if not isinstance(text, str):
        raise InputError(f"what is looked for must be text, got {text!r}")
    if not isinstance(top, int) or top < 1:
        raise InputError(f"top must be a whole number, at least 1, got {top!r}")
    exact = find.named(store, text.strip(), top, labels)
    if not text.strip():
        return []
    words = find.text(store, text, top * _DEPTH, labels)
    near = find.meaning(store, embed_text([text])[0], top * _DEPTH, labels)
    first = {(hit.label, hit.key) for hit in exact}
    rest = [hit for hit in find.fuse([words, near]) if (hit.label, hit.key) not in first]
    return [*exact, *rest][:top]

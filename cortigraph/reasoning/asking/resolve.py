"""Resolving: what a user types becomes an entity or a relation. A key first, then a name, then what is meant by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.reasoning.asking.knowledge import Knowledge, node_name
from cortigraph.reasoning.reasoners.facts import Facts

if TYPE_CHECKING:
    from cortigraph.graph.store import Store

__all__ = ["AmbiguousKeyError", "resolve_entity", "resolve_relation"]

_SHOWN = 5
# Of cosines, scaled to 0…1 as the store gives them: what is surely meant, and how far behind the next must be.
_MEANT, _AHEAD = 0.8, 0.05
_RELATION_NAMES = """
MATCH (r:Relation&!Entity) WITH r.key AS key, toStringOrNull(r.name) AS name WHERE name IS NOT NULL RETURN key, name"""


class AmbiguousKeyError(InputError):
    """A text that may mean several things; names their keys."""


def resolve_entity(store: Store, knowledge: Knowledge, text: str) -> int:
    """The row of the entity that a text means.

    Args:
        store: Whose search is asked.
        knowledge: Whose entities.
        text: A key, a name, or words.

    Raises:
        AmbiguousKeyError: It may mean several.
        UnknownKeyError: It means none; names near keys.
    """
    entities = knowledge.facts.entities
    if text in entities:
        return int(entities.row(text))
    from cortigraph.graph import find
    from cortigraph.graph.schema import SEARCHED_LABELS

    labels = [label for label in SEARCHED_LABELS if label in knowledge.kinds]

    def among(hits: Sequence[find.Hit]) -> list[find.Hit]:
        return [hit for hit in hits if node_name(hit.label, hit.key) in entities]

    exact = among(find.named(store, text, labels=labels))
    words = among(find.text(store, text, top=50, labels=labels)) if labels else []
    same = [hit for hit in words if hit.name.casefold() == text.strip().casefold()]
    for found in (exact, same):
        if len(found) == 1:
            return int(entities.row(node_name(found[0].label, found[0].key)))
        if found:
            raise _ambiguous("entity", text, [(hit.key, hit.name) for hit in found])
    near: list[find.Hit] = []
    if labels and text.strip():
        from cortigraph.regions.language import embed_text

        near = among(find.meaning(store, embed_text([text])[0], top=10, labels=labels))
    clear = _clear([hit.score for hit in near])
    if clear and (not words or near[0].key in [hit.key for hit in words[:_SHOWN]]):
        return int(entities.row(node_name(near[0].label, near[0].key)))
    hits = {hit.key: hit.name for hit in [*words[:_SHOWN], *near[:_SHOWN]]}
    if hits:
        raise _ambiguous("entity", text, list(hits.items())[:_SHOWN])
    entities.row(text)
    raise AssertionError("a key that is not there was found")


def resolve_relation(store: Store, facts: Facts, text: str) -> int:
    """The number of the relation that a text means; `inverse of NAME` asks it the other way round.

    Args:
        store: Whose names of relations count.
        facts: Whose numbers.
        text: A relation, its name, or words.

    Raises:
        AmbiguousKeyError: It may mean several.
        UnknownKeyError: It means none; names near ones.
    """
    with suppress(UnknownKeyError):
        return facts.relation(text)
    plain = text.removeprefix("inverse of ")
    turned = len(facts.relations) if plain != text else 0
    names = {name: _words(name) for name in facts.relations}
    for row in store.read(_RELATION_NAMES):
        if row["key"] in names:
            names[row["key"]] = _words(str(row["name"]))
    wanted = _words(plain)
    tests: list[Callable[[str], bool]] = [
        lambda told: told == wanted,
        lambda told: bool(wanted) and set(wanted.split()) <= set(told.split()),
    ]
    for test in tests:
        found = [name for name, told in names.items() if test(told)]
        if len(found) == 1:
            return facts.relations.index(found[0]) + turned
        if found:
            raise _ambiguous("relation", plain, [(name, names[name]) for name in found])
    meant = _meant(plain, names) if wanted and names else None
    if meant is None:
        raise UnknownKeyError("relation", plain, facts.relations)
    return facts.relations.index(meant) + turned


def _meant(text: str, names: dict[str, str]) -> str | None:
    from cortigraph.regions.language import embed_text

    vectors = embed_text([text, *names.values()])
    likeness = (1 + vectors[1:] @ vectors[0]) / 2
    order = np.argsort(-likeness)
    return list(names)[order[0]] if _clear(likeness[order].tolist()) else None


def _clear(scores: Sequence[float]) -> bool:
    """Whether the first is meant, and no other."""
    return bool(scores) and scores[0] >= _MEANT and (len(scores) == 1 or scores[0] - scores[1] >= _AHEAD)


def _words(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())


def _ambiguous(kind: str, text: str, found: Sequence[tuple[str, str]]) -> AmbiguousKeyError:
    told = ", ".join(key if key == name else f"{key} ({name})" for key, name in found[:_SHOWN])
    return AmbiguousKeyError(f"no {kind} has the key {text!r}, and it may mean several: {told}; give the key of one")

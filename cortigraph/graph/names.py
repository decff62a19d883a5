"""Names in the graph: the store's own, and which of those that data brings can be taken.

Data gives names to labels, relationship types and properties. One that the server would refuse, or that the store keeps
for itself, is refused before anything is written. Two things keep the store's own apart besides, also in a store that
took such names in once: no query that looks for what is the store's own takes an entity for it (`:Batch&!Entity`), and
between entities every type but `PREDICTED` is a fact, `FROM` and `USES` too.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

__all__ = [
    "ENTITY_PROPERTIES", "OWN_LABELS", "OWN_PROPERTIES", "Label", "RelType", "flaw", "instead", "is_text",
    "label_problem", "property_problem", "type_problem",
]  # fmt: skip

LONGEST_NAME = 1000


class Label(StrEnum):
    """The kinds of node. Each has a unique `key`."""

    AREA = "Area"
    REGION = "Region"
    MODALITY = "Modality"
    DATASET = "Dataset"
    TASK = "Task"
    SCENE = "Scene"
    SEARCH = "Search"
    CANDIDATE = "Candidate"
    PATHWAY = "Pathway"
    RUN = "Run"
    ENTITY = "Entity"
    RELATION = "Relation"
    SOURCE = "Source"
    BATCH = "Batch"
    LEASE = "Lease"
    MIGRATION = "Migration"


class RelType(StrEnum):
    """The kinds of relationship of the system's own; facts between entities bring theirs."""

    HAS_REGION = "HAS_REGION"
    ACCEPTS = "ACCEPTS"
    EMITS = "EMITS"
    DERIVED_FROM = "DERIVED_FROM"
    HAS_MODALITY = "HAS_MODALITY"
    FOR_TASK = "FOR_TASK"
    POSED_ON = "POSED_ON"
    FOR_SCENE = "FOR_SCENE"
    IN_SEARCH = "IN_SEARCH"
    USES = "USES"
    CHOSEN_FROM = "CHOSEN_FROM"
    OF = "OF"
    ON = "ON"
    FROM = "FROM"
    PREDICTED = "PREDICTED"


# No entity may carry one of these besides.
OWN_LABELS = frozenset(str(label) for label in Label) - {str(Label.ENTITY)}
# What the store writes on whatever a batch brings.
ENTITY_PROPERTIES = frozenset({"key", "batches", "embedding", "text_embedding", "embedded", "fingerprint"})
# What the system reads of its own kinds in a form of its own; data gives the rest of their properties.
OWN_PROPERTIES: Mapping[str, frozenset[str]] = {
    Label.AREA: frozenset({"accepts", "emits"}),
    Label.REGION: frozenset({"builder", "arguments", "accepts", "emits", "shapes", "weights", "predictions"}),
    Label.DATASET: frozenset({"spec", "base"}),
    Label.RUN: frozenset({"weights", "search"}),
}


def is_text(text: str) -> bool:
    """Whether text can be sent: half a surrogate pair is no character, and has no UTF-8.

    Example:
        >>> is_text("héllo"), is_text("\\ud800")
        (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def flaw(name: object) -> str | None:
    """What keeps something from being the name of anything in the graph; None if nothing does.

    Example:
        >>> flaw("part_of"), flaw(""), flaw(7)
        (None, 'must not be empty', 'must be text, and is int')
    """
    if name is None:
        return "must not be empty"
    if not isinstance(name, str):
        return f"must be text, and is {type(name).__name__}"
    if not name.strip():
        return "must not be empty"
    if len(name) > LONGEST_NAME:
        return f"may have {LONGEST_NAME} characters, and has {len(name)}"
    if "\x00" in name:
        return "must not contain NUL"
    return None if is_text(name) else "must not contain half a surrogate pair"


def instead(name: str) -> str:
    """What data may call a thing that it calls by a name of the store's own.

    Example:
        >>> instead(Label.BATCH), instead(RelType.PREDICTED)
        ('DataBatch', 'DATA_PREDICTED')
    """
    return f"DATA_{name}" if name.isupper() else f"Data{name}"


def label_problem(label: object) -> str | None:
    """Why an entity can't have a further label; None if it can.

    Example:
        >>> label_problem("City"), label_problem("Region")
        (None, 'is a label that the store keeps for itself')
    """
    wrong = flaw(label)
    if wrong is not None:
        return f"can't be a label: it {wrong}"
    return "is a label that the store keeps for itself" if label in OWN_LABELS else None


def type_problem(kind: object) -> str | None:
    """Why data can't bring a relationship of a type; None if it can.

    Example:
        >>> type_problem("FROM"), type_problem("PREDICTED")
        (None, 'is a type that the store keeps for what reasoners conclude')
    """
    wrong = flaw(kind)
    if wrong is not None:
        return f"can't be a type of relationship: it {wrong}"
    return "is a type that the store keeps for what reasoners conclude" if kind == RelType.PREDICTED else None


def property_problem(name: object, label: str | None = None) -> str | None:
    """Why data can't give a property a name; None if it can.

    Args:
        name: Of the property.
        label: Of the nodes that are to have it; None for a relationship.

    Example:
        >>> property_problem("builder", Label.REGION), property_problem("builder", Label.ENTITY)
        ('is a property that the store keeps for itself', None)
    """
    wrong = flaw(name)
    if wrong is not None:
        return f"can't be the name of a property: it {wrong}"
    if str(name).startswith(":"):
        return "can't be the name of a property: it must not begin with a colon"
    own = ENTITY_PROPERTIES | OWN_PROPERTIES.get(label or "", frozenset())
    return "is a property that the store keeps for itself" if name in own else None

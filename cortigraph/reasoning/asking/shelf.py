"""The shelf: trained reasoners in the home, by hash, and in the graph, as regions of one area.

    (:Area {key: 'reasoning.link_prediction'})-[:HAS_REGION]->(:Region {kind: 'reasoner', weights, reasoner, graph, …})

The file of a reasoner is one of the home's weights, so that backups and checks know it. Nothing is built of such a
region: it has no builder, and no ports.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.graph.schema import Label, RelType
from cortigraph.reasoning.reasoners import artefact
from cortigraph.reasoning.reasoners.base import Reasoner
from cortigraph.regions.weights import WeightStore

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store, Transaction

__all__ = ["AREA", "Shelved", "file_of", "keep", "named", "shelved"]

AREA = "reasoning.link_prediction"
_ID = re.compile(r"[0-9A-Za-z._-]{1,32}")
_AREA = {
    "key": AREA,
    "name": "Link prediction",
    "description": "Reasoners: what is missing in the graph, and why.",
}
_LIST = """
MATCH (:Area&!Entity {key: $area})-[:HAS_REGION]->(r:Region&!Entity) WHERE r.weights IS NOT NULL
RETURN r {.*, text_embedding: null, embedding: null} AS node ORDER BY r.trained_at DESC, r.key"""


@dataclass(frozen=True)
class Shelved:
    """A reasoner that the graph knows.

    Args:
        key: Of its region.
        id: Its short name.
        reasoner: Its kind.
        weights: The hash of its file.
        graph: What part of the graph it was trained on.
        told: All else that is known of it.
    """

    key: str
    id: str
    reasoner: str
    weights: str
    graph: str
    told: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        own = {name: getattr(self, name) for name in ("key", "id", "reasoner", "weights", "graph")}
        return own | {name: value for name, value in self.told.items() if name not in own}


def keep(store: Store, home: Home, reasoner: Reasoner, name: str, about: Mapping[str, Any]) -> Shelved:
    """Keeps a reasoner in the home and makes it known in the graph; one of that name is replaced.

    Args:
        store: Where it is registered.
        home: Where its file lies.
        reasoner: Any.
        name: Short, of letters, digits, `.`, `_` and `-`.
        about: What is kept with it; numbers and words become properties of its region.

    Raises:
        InputError: The name has another form.
    """
    from cortigraph.graph.write import merge_edges, merge_nodes
    from cortigraph.regions.language import embed_text

    if not _ID.fullmatch(name):
        raise InputError(f"a reasoner's name has 1 to 32 letters, digits, '.', '_' or '-', got {name!r}")
    weights = WeightStore(home.weights).keep(artefact.content(reasoner, about))
    plain = {key: value for key, value in about.items() if isinstance(value, str | int | float)}
    row = {
        **plain,
        "key": f"{AREA}/{name}",
        "area": AREA,
        "id": name,
        "name": f"{reasoner.name} reasoner {name}",
        "description": f"Answers questions about {about.get('relations', 'all')} relations of the graph.",
        "kind": "reasoner",
        "reasoner": reasoner.name,
        "weights": weights,
        "parameters": sum(tensor.numel() for name, tensor in reasoner.state().items() if "keys." not in name),
        "licence": "none",
    }
    row["text_embedding"] = embed_text([f"{row['name']}. {row['description']}"])[0].tolist()

    def write(transaction: Transaction) -> None:
        merge_nodes(transaction, Label.AREA, [_AREA])
        merge_nodes(transaction, Label.REGION, [row])
        merge_edges(transaction, RelType.HAS_REGION, Label.AREA, Label.REGION, [{"start": AREA, "end": row["key"]}])

    store.execute(write)
    return _shelved(row)


def shelved(store: Store) -> list[Shelved]:
    """The reasoners that the graph knows, the one trained last first."""
    return [_shelved(row["node"]) for row in store.read(_LIST, area=AREA)]


def named(known: Sequence[Shelved], which: str) -> Shelved:
    """One of those that the graph knows.

    Args:
        known: All of them.
        which: A name, a key or a hash.

    Raises:
        UnknownKeyError: There is none of that name.
    """
    for each in known:
        if which in (each.id, each.key, each.weights):
            return each
    raise UnknownKeyError("reasoner", which, [each.id for each in known], where="in the graph, nor such a file")


def file_of(home: Home, which: str, known: Sequence[Shelved] | None = None) -> Path:
    """The file of a reasoner.

    Args:
        home: Where those lie that the graph knows.
        which: A file, a hash, a name or a key.
        known: Those of the graph; none where no store was opened.

    Raises:
        UnknownKeyError: There is none of that name.
    """
    if Path(which).is_file():
        return Path(which)
    weights = WeightStore(home.weights)
    if which.startswith("sha256:"):
        return weights.path(which)
    return weights.path(named(known or (), which).weights)


def _shelved(row: Mapping[str, Any]) -> Shelved:
    own = {name: str(row.get(name, "")) for name in ("key", "id", "reasoner", "weights", "graph")}
    hidden = {"text_embedding", "embedding", "area", "kind", "licence", "description"}
    return Shelved(
        **own, told={name: row[name] for name in sorted(row) if name not in hidden and row[name] is not None}
    )

"""What a whole graph holds, in a few numbers: counts, and a digest that two equal graphs share.

The digest depends neither on the order in which the server gives things nor on its internal numbers: every element is
hashed by itself, and the hashes are summed modulo 2^64. A node's hash is that of its labels and properties, vectors
included; a relationship's joins its type, its properties, and the hashes of the nodes that it leads from and to.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cortigraph.graph import cypher
from cortigraph.graph._driver import BusyError
from cortigraph.graph.jars import Progress

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cortigraph.graph.store import Store

__all__ = ["Content", "read_content"]

# The server's own numbers have few gaps, so ranges of them cut the graph into parts without a scan for each.
LAST_NODE = "MATCH (n) RETURN coalesce(max(id(n)), -1) AS last"
LAST_EDGE = "MATCH ()-[r]->() RETURN coalesce(max(id(r)), -1) AS last"
NODES = """
UNWIND range($first, $last) AS i MATCH (n) WHERE id(n) = i
RETURN collect([i, labels(n), properties(n)]) AS found"""
EDGES = """
UNWIND range($first, $last) AS i MATCH (a)-[r]->(b) WHERE id(r) = i
WITH type(r) AS type, properties(r) AS properties, collect(id(a)) AS starts, collect(id(b)) AS ends
RETURN collect([type, properties, starts, ends]) AS found"""

NODES_PER_PART = 2_000  # with two vectors each, 20 MB
EDGES_PER_PART = 100_000


@dataclass(frozen=True)
class Content:
    """What a graph holds.

    Args:
        schema: The version of its schema.
        labels: Nodes by label; one with two labels counts for both.
        types: Relationships by type.
        nodes: All of them.
        relationships: All of them.
        digest: Of all nodes, and of all relationships, in hexadecimal digits.
        indexes: Name, type, labels and properties of each.
    """

    schema: int
    labels: dict[str, int]
    types: dict[str, int]
    nodes: int
    relationships: int
    digest: str
    indexes: list[list[Any]]

    def differences(self, other: Content) -> list[str]:
        """What differs from another, a line each.

        Args:
            other: What there should be.

        Example:
            >>> empty = Content(1, {}, {}, 0, 0, "0", [])
            >>> empty.differences(Content(1, {"Area": 2}, {}, 2, 0, "1", []))[0]
            "labels: expected {'Area': 2}, got {}"
        """
        ours, theirs = asdict(self), asdict(other)
        return [f"{name}: expected {theirs[name]}, got {ours[name]}" for name in ours if ours[name] != theirs[name]]


def read_content(store: Store, progress: Progress | None = None) -> Content:
    """Read a whole graph, in parts, and say what it holds. Nobody else should be writing.

    Args:
        store: Where.
        progress: Told how far it is.

    Raises:
        StoreError: It can't be read.
    """
    import numpy as np

    labels: Counter[str] = Counter()
    types: Counter[str] = Counter()
    last = int(store.read(LAST_NODE)[0]["last"])
    hashes = np.zeros(last + 1, np.uint64)  # by the server's number
    nodes = 0
    for number, names, properties in _read(store, NODES, last, NODES_PER_PART, "nodes", progress):
        hashes[number] = _hash(sorted(names), properties)
        labels.update(names)
        nodes += 1
    total = 0
    last = int(store.read(LAST_EDGE)[0]["last"])
    for kind, properties, starts, ends in _read(store, EDGES, last, EDGES_PER_PART, "relationships", progress):
        total += _sum(_joined(_hash([kind], properties), hashes[starts], hashes[ends]))
        types[kind] += len(starts)
    return Content(
        schema=int(store.read(cypher.SCHEMA_VERSION)[0]["version"]),
        labels=dict(sorted(labels.items())),
        types=dict(sorted(types.items())),
        nodes=nodes,
        relationships=types.total(),
        digest=f"{_sum(hashes):016x}{total % 2**64:016x}",
        indexes=_indexes(store),
    )


def _read(store: Store, query: str, last: int, size: int, what: str, progress: Progress | None) -> Iterator[Any]:
    for first in range(0, last + 1, size):
        yield from _part(store, query, first, min(first + size - 1, last))
        if progress:
            progress(min(first + size, last + 1), last + 1, f"comparing {what}")


def _part(store: Store, query: str, first: int, last: int) -> Iterator[Any]:
    """A part that is more than the server's memory holds is read in halves."""
    try:
        found = store.read(query, first=first, last=last)[0]["found"]
    except BusyError:
        if first == last:
            raise
        middle = (first + last) // 2
        yield from _part(store, query, first, middle)
        yield from _part(store, query, middle + 1, last)
    else:
        yield from found


def _hash(names: Sequence[str], properties: dict[str, Any]) -> int:
    digest = hashlib.blake2b(json.dumps(names).encode(), digest_size=8)
    for name in sorted(properties):
        value = _encoded(properties[name])
        digest.update(json.dumps([name, len(value)]).encode())
        digest.update(value)
    return int.from_bytes(digest.digest(), "little")


def _encoded(value: Any) -> bytes:
    """A value in bytes: 1, 1.0, true and "1" differ. Vectors are most of what there is, and text of them is slow."""
    if type(value) is list and value and type(value[0]) is float:
        return b"floats" + struct.pack(f"<{len(value)}d", *value)
    return json.dumps(value, default=_tagged).encode()


def _tagged(value: Any) -> Any:
    """Bytes, times and points. No property is a map, so a map can stand for them."""
    if isinstance(value, bytes | bytearray):
        return {"bytes": bytes(value).hex()}
    zone = getattr(value, "tzinfo", None)
    return {type(value).__name__: [str(value), str(zone), getattr(value, "srid", None)]}


def _joined(own: int, starts: npt.NDArray[np.uint64], ends: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """One hash of three: start and end are told apart, and every bit matters (the last steps are splitmix64's)."""
    import numpy as np

    word = np.uint64
    turned = np.asarray(ends ^ (ends >> word(29)), dtype=word)
    mixed = np.asarray(starts * word(0x9E3779B97F4A7C15) + turned * word(0xD6E8FEB86659FD93), dtype=word)
    mixed = np.asarray(mixed ^ (mixed >> word(32)), dtype=word)
    mixed = np.asarray(mixed * word(0xC2B2AE3D27D4EB4F) + word(own), dtype=word)
    mixed = np.asarray((mixed ^ (mixed >> word(30))) * word(0xBF58476D1CE4E5B9), dtype=word)
    mixed = np.asarray((mixed ^ (mixed >> word(27))) * word(0x94D049BB133111EB), dtype=word)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _sum(hashes: npt.NDArray[np.uint64]) -> int:
    return int(hashes.sum(dtype=hashes.dtype))


def _indexes(store: Store) -> list[list[Any]]:
    rows = store.read(cypher.INDEXES)
    return sorted([row["name"], row["type"], row["labels"], row["properties"]] for row in rows)

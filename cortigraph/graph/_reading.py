"""A store read into plain columns: what `snapshot` keeps, in the order in which it keeps it.

First which nodes there are (the server's numbers, by their labels), then their properties, then the relationships: all
in parts, so that neither side holds more than one at a time, on as many connections as pay off. A graph of moderate
size is scanned; of a larger one each part takes what leaves some nodes, because scanning it once per part would cost
more than looking the nodes up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

from cortigraph.graph import cypher
from cortigraph.graph.errors import StoreError
from cortigraph.graph.jars import Progress
from cortigraph.graph.schema import Label, RelType
from cortigraph.graph.threads import threads

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cortigraph.graph.store import Store

__all__ = ["EdgesRead", "NodesRead", "chosen_label", "group_of", "read_edges", "read_nodes"]

CONNECTIONS = 2  # the server's work and ours overlap; more than this only divides the same cores
NODES_PER_PART = 5_000
EDGES_PER_PART = 200_000
SCANNED_EDGES = 1_000_000
HIDDEN = {Label.MIGRATION, Label.LEASE}


@dataclass(frozen=True)
class NodesRead:
    """The nodes of one label, sorted by key.

    Args:
        label: Theirs.
        keys: One per row.
        ids: The server's numbers, one per row.
        properties: One dict per row, without `key`.
        occurring: The sets of labels that occur, each sorted.
        which: Per row, its place in `occurring`.
    """

    label: str
    keys: list[str]
    ids: npt.NDArray[np.int64]
    properties: list[dict[str, Any]]
    occurring: list[list[str]]
    which: npt.NDArray[np.int64]


@dataclass(frozen=True)
class EdgesRead:
    """The relationships from one label to another of one type, sorted by end, then start.

    Args:
        edge_type: Start label, type, end label.
        index: Rows of starts and of ends, `(2, n)`.
        distinct: The property dicts that occur, each once.
        which: Per relationship, its place in `distinct`.
    """

    edge_type: tuple[str, str, str]
    index: npt.NDArray[np.int64]
    distinct: list[dict[str, Any]]
    which: npt.NDArray[np.int64]


def chosen_label(labels: Iterable[str]) -> str:
    """What kind of node it is: the one label that the schema knows, else the first by alphabet.

    What the system makes is no entity; so whatever else an entity may be called, an entity it is.

    Args:
        labels: All of the node's; a node without any is of the kind `""`.

    Example:
        >>> chosen_label(["Batch", "Person", "Entity"]), chosen_label(["b", "a"])
        ('Entity', 'a')
    """
    found = set(labels)
    kinds = (Label.ENTITY, *Label)
    return next((label.value for label in kinds if label in found), min(found, default=""))


def group_of(labels: Iterable[str], wanted: Sequence[str] | None, each: bool) -> str | None:
    """The label under which a snapshot keeps a node; none for a node that it leaves out.

    Args:
        labels: All of the node's.
        wanted: Only nodes that have one of these; when left out, all but what serves the store's own machinery.
        each: Whether a label that users gave is one of its own; else nodes are kept by kind.

    Example:
        >>> group_of(["Entity", "City", "Port"], None, True), group_of(["Entity", "City", "Port"], ["Port"], True)
        ('City', 'Port')
    """
    kind = chosen_label(labels)
    own = sorted(set(labels) - set(Label))
    if wanted is None:
        return None if kind in HIDDEN else own[0] if each and own and kind == Label.ENTITY else kind
    fits = [label for label in wanted if label == kind or label in own]
    if not fits or not each:
        return kind if fits else None
    return next((label for label in fits if label in own), kind)


def read_nodes(
    store: Store, labels: Sequence[str] | None, each: bool = False, progress: Progress | None = None
) -> list[NodesRead]:
    """All nodes of the labels asked for, by label.

    Args:
        store: Where.
        labels: Only these, those first that count where a node has several; else all, as for `group_of`.
        each: As for `group_of`.
        progress: Told how many nodes are read, of how many.

    Raises:
        StoreError: Two nodes of one label have the same key.
    """
    ids: dict[str, list[int]] = {}
    sets: dict[str, list[tuple[list[str], int]]] = {}
    for row in store.read(cypher.NODES_BY_LABELS):
        label = group_of(row["labels"], labels, each)
        if label is not None:
            ids.setdefault(label, []).extend(row["ids"])
            sets.setdefault(label, []).append((sorted(row["labels"]), len(row["ids"])))
    parts = [(label, part) for label, own in ids.items() for part in _cut(own, NODES_PER_PART)]
    total = sum(map(len, ids.values()))
    found: dict[str, list[Any]] = {label: [] for label in sorted(ids)}
    work = [partial(store.read, cypher.NODE_PROPERTIES, ids=part) for _, part in parts]
    done = 0
    for (label, part), rows in zip(parts, _side_by_side(work), strict=True):
        found[label] += rows[0]["nodes"]
        done += len(part)
        if progress:
            progress(done, total, "nodes")
    return [_sorted_nodes(label, rows, ids[label], sets[label]) for label, rows in found.items()]


def read_edges(
    store: Store, nodes: Sequence[NodesRead], types: Sequence[str] | None, progress: Progress | None = None
) -> list[EdgesRead]:
    """All relationships between the nodes given, by start label, type and end label.

    Args:
        store: Where.
        nodes: What `read_nodes` gave.
        types: Only these; when left out, all but what a reasoner has predicted: what it writes carries its name.
        progress: Told how many relationships are read, of how many.
    """
    import numpy as np

    wanted = None if types is None else list(types)
    if wanted == [] or not nodes:
        return []
    total = int(store.read(cypher.counted_edges(wanted))[0]["count"])
    groups: list[Any] = []
    done = 0
    for rows in _side_by_side(_edge_work(store, nodes, wanted, total)):
        groups += [g for g in rows[0]["groups"] if wanted is not None or not _concluded(*g[:2])]
        done += sum(len(group[2]) for group in rows[0]["groups"])
        if progress:
            progress(min(done, total), total, "relationships")
    if not groups:
        return []
    lengths = [len(group[2]) for group in groups]
    flat = [np.fromiter(chain.from_iterable(g[side] for g in groups), np.int64, sum(lengths)) for side in (2, 3)]
    return _by_type(nodes, groups, np.repeat(np.arange(len(groups)), lengths), flat)


def _concluded(kind: str, properties: dict[str, Any]) -> bool:
    """Whether a reasoner has predicted it; a fact may be called so, too."""
    return kind == RelType.PREDICTED and "reasoner" in properties


def _edge_work(
    store: Store, nodes: Sequence[NodesRead], types: list[str] | None, total: int
) -> list[Callable[[], Any]]:
    if total <= SCANNED_EDGES:
        query = cypher.grouped_edges(types, scan=True)
        parts = 1 if total < EDGES_PER_PART // 10 else max(CONNECTIONS, -(-total // EDGES_PER_PART))
        return [partial(store.read, query, parts=parts, part=part) for part in range(parts)]
    query = cypher.grouped_edges(types, scan=False)
    return [partial(store.read, query, ids=part) for part in _parts_by_degree(store, nodes)]


def _parts_by_degree(store: Store, nodes: Sequence[NodesRead]) -> list[list[int]]:
    """Nodes together as long as not too many relationships leave them."""
    parts: list[list[int]] = [[]]
    held = 0
    ids = sorted(chain.from_iterable(own.ids.tolist() for own in nodes))
    work = [partial(store.read, cypher.OUT_DEGREES, ids=part) for part in _cut(ids, EDGES_PER_PART)]
    for node, degree in chain.from_iterable(rows[0]["degrees"] for rows in _side_by_side(work)):
        if held + degree > EDGES_PER_PART and parts[-1]:
            parts.append([])
            held = 0
        if degree:
            parts[-1].append(node)
            held += degree
    return parts


def _by_type(
    nodes: Sequence[NodesRead], groups: list[Any], group: npt.NDArray[np.int64], flat: list[npt.NDArray[np.int64]]
) -> list[EdgesRead]:
    """Sort everything at once by type, end and start, then cut where the type changes."""
    import numpy as np

    first = np.cumsum([0, *(len(own.ids) for own in nodes)])
    places = _places(nodes, flat)
    kept = (places >= 0).all(axis=0)
    (starts, ends), group = places[:, kept], group[kept]
    names = sorted({str(item[0]) for item in groups})
    code = {name: number for number, name in enumerate(names)}
    kinds = np.fromiter((code[item[0]] for item in groups), np.int64, len(groups))[group]
    start_label, end_label = (np.searchsorted(first, side, side="right") - 1 for side in (starts, ends))
    kind = (start_label * len(names) + kinds) * len(nodes) + end_label
    order = np.lexsort((starts, ends, kind))
    cuts = np.flatnonzero(np.diff(kind[order], prepend=-1, append=-1))
    read = []
    for low, high in pairwise(cuts.tolist()):
        chosen = order[low:high]
        one = chosen[0]
        a, b = start_label[one], end_label[one]
        index = np.stack([starts[chosen] - first[a], ends[chosen] - first[b]])
        occurring, which = np.unique(group[chosen], return_inverse=True)
        edge_type = (nodes[a].label, names[kinds[one]], nodes[b].label)
        read.append(EdgesRead(edge_type, index, [groups[g][1] for g in occurring.tolist()], which))
    return read


def _places(nodes: Sequence[NodesRead], flat: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """The server's numbers as places among all nodes, label after label; -1 for a node that is not among them."""
    import numpy as np

    ids = np.concatenate([own.ids for own in nodes])
    order = np.argsort(ids)
    ordered = ids[order]
    both = np.stack(flat)
    near = np.minimum(np.searchsorted(ordered, both), len(ids) - 1)
    return np.where(ordered[near] == both, order[near], -1)


def _sorted_nodes(label: str, rows: list[Any], read: list[int], sets: list[tuple[list[str], int]]) -> NodesRead:
    import numpy as np

    named = []
    for number, properties, element in rows:
        key = properties.pop("key", None)  # a node that nobody gave a key is named as `db check` names it
        named.append((str(element if key is None else key), number, properties))
    named.sort(key=lambda one: one[0])
    keys = [key for key, _, _ in named]
    doubled = next((key for key, following in pairwise(keys) if key == following), None)
    if doubled is not None:
        raise StoreError(
            f"two nodes of label {label!r} have the key {doubled!r}, so a key would not name a row: "
            f"make keys unique, or leave the label out with labels=[…]"
        )
    ids = np.fromiter((number for _, number, _ in named), np.int64, len(named))
    order = np.argsort(np.array(read))
    of_sets = np.repeat(np.arange(len(sets)), [count for _, count in sets])[order]
    which = of_sets[np.searchsorted(np.array(read)[order], ids)]
    return NodesRead(label, keys, ids, [properties for _, _, properties in named], [own for own, _ in sets], which)


def _side_by_side(work: Sequence[Callable[[], Any]]) -> Iterable[Any]:
    """Results in order, a few being fetched at a time."""
    if len(work) == 1:
        return (one() for one in work)
    return _threaded(work)


def _threaded(work: Sequence[Callable[[], Any]]) -> Iterable[Any]:
    with threads(CONNECTIONS) as pool:
        yield from pool.map(lambda one: one(), work)


def _cut(values: list[int], size: int) -> list[list[int]]:
    return [values[first : first + size] for first in range(0, len(values), size)]

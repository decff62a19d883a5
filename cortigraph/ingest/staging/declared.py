"""What a job declares rather than reads: areas, regions and data sets, as elements like all others.

Their wiring is part of them: a region whose ports changed loses the relationships of those that it has no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from cortigraph.graph import cypher
from cortigraph.graph.errors import InputError
from cortigraph.graph.schema import Label, RelType
from cortigraph.ingest.elements import KEYS, EdgeKind, Elements, NodeKind, identity
from cortigraph.ingest.staging.settle import Settled, settle
from cortigraph.ingest.staging.stage import Staged, normal

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store
    from cortigraph.ingest.job import Job
    from cortigraph.tables.base import Progress

__all__ = ["declare", "stale_wires"]

_Wire = tuple[str, str, str, str | None, dict[str, Any]]  # type, start, end, key, properties

_WIRES: dict[EdgeKind, tuple[RelType, ...]] = {
    EdgeKind(Label.REGION, Label.MODALITY): (RelType.ACCEPTS, RelType.EMITS),
    EdgeKind(Label.REGION, Label.REGION): (RelType.DERIVED_FROM,),
    EdgeKind(Label.DATASET, Label.MODALITY): (RelType.HAS_MODALITY,),
    EdgeKind(Label.DATASET, Label.TASK): (RelType.FOR_TASK,),
}


def declare(
    store: Store, home: Home, job: Job, staged: Staged, progress: Progress | None = None, *, dry: bool = False
) -> Settled:
    """Adds what a job declares.

    Args:
        store: Only read.
        home: Where decoded data and weights lie.
        job: As loaded.
        staged: Takes the elements.
        progress: Told how far measuring and decoding are.
        dry: Only see what would change: nothing is measured, and no new data set is decoded.

    Returns:
        What it declares.

    Raises:
        InputError: A region is like none that there is, or can't be built; a data set can't be read. Lists everything.
    """
    settled = settle(store, home, job)
    _regions(store, home, settled, staged, progress, dry=dry)
    _datasets(store, home, job, staged, progress, dry=dry)
    return settled


def stale_wires(store: Store, staged: Staged) -> Elements:
    """Relationships of declared regions and data sets that are not declared.

    Args:
        store: Only read.
        staged: What a job asserts.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    found = Elements()
    for kind, types in _WIRES.items():
        keys = staged.whole.get(kind.start)
        if not keys:
            continue
        told = store.columns(_wires_query(kind, types), keys=keys)
        table = pa.table({name: pa.array(told[name], pa.string()) for name in KEYS[EdgeKind]})
        declared = staged.elements.tables.get(kind)
        if declared is not None and len(table):
            table = table.filter(pc.invert(pc.is_in(identity(kind, table), identity(kind, declared))))
        found.add(kind, table)
    return found


def _wires_query(kind: EdgeKind, types: Iterable[RelType]) -> str:
    start, end = cypher.own(kind.start), cypher.own(kind.end)
    listed = "|".join(cypher.quote(each) for each in types)
    returned = "type(r) AS `:type`, a.key AS `:start`, b.key AS `:end`, r.key AS `:key`"
    return f"MATCH (a:{start})-[r:{listed}]->(b:{end}) WHERE a.key IN $keys RETURN {returned}"


def _regions(
    store: Store, home: Home, settled: Settled, staged: Staged, progress: Progress | None, *, dry: bool
) -> None:
    from cortigraph.regions import catalogue
    from cortigraph.regions.weights import WeightStore

    regions = list(settled.regions.values())
    _add_nodes(staged, Label.AREA, [catalogue.area_row(area) for area in settled.areas.values()])
    if not regions:
        return
    if progress is not None and not dry:
        progress("measuring regions", 0, len(regions))
    rows = catalogue.region_rows(store, regions, WeightStore(home.weights), measure=not dry)
    if progress is not None and not dry:
        progress("measuring regions", len(regions), len(regions))
    _add_nodes(staged, Label.REGION, rows)
    wires = [wire for region in regions for wire in catalogue.wires(region)]
    ports = [(kind, start, end, key, {"port": key}) for kind, start, end, key in wires if key is not None]
    modalities = sorted({end for _, _, end, _, _ in ports})
    _add_nodes(staged, Label.MODALITY, [{"key": name, "name": name} for name in modalities])
    _add_edges(staged, EdgeKind(Label.REGION, Label.MODALITY), ports)
    for kind, start_label in ((RelType.HAS_REGION, Label.AREA), (RelType.DERIVED_FROM, Label.REGION)):
        plain: list[_Wire] = [(type_, start, end, None, {}) for type_, start, end, _ in wires if type_ == kind]
        _add_edges(staged, EdgeKind(start_label, Label.REGION), plain)
    staged.whole[Label.REGION] = [region.key for region in regions]


def _datasets(store: Store, home: Home, job: Job, staged: Staged, progress: Progress | None, *, dry: bool) -> None:
    from cortigraph.ingest.staging import data

    known = data.known(store, job) if job.datasets else {}
    items = [item for item in job.datasets if not dry or item.key in known]
    if dry:
        fresh = [{"key": item.key, "name": item.name or item.key} for item in job.datasets if item.key not in known]
        _add_nodes(staged, Label.DATASET, fresh)
    described = data.describe(store, job, items, home, progress)
    for each in described:
        key = each.node["key"]
        _add_nodes(staged, Label.MODALITY, each.modalities)
        _add_nodes(staged, Label.TASK, [{"key": each.task}])
        _add_nodes(staged, Label.DATASET, [each.node])
        inputs = [
            (RelType.HAS_MODALITY, row["start"], row["end"], row["key"], {"input": row["input"]}) for row in each.inputs
        ]
        _add_edges(staged, EdgeKind(Label.DATASET, Label.MODALITY), inputs)
        _add_edges(staged, EdgeKind(Label.DATASET, Label.TASK), [(RelType.FOR_TASK, key, each.task, None, {})])
        staged.whole.setdefault(Label.DATASET, []).append(key)


def _add_nodes(staged: Staged, label: Label, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        names = list(dict.fromkeys(name for row in rows for name in row))
        columns = {":key" if name == "key" else name: [row.get(name) for row in rows] for name in names}
        _add(staged, NodeKind(label), columns)


def _add_edges(staged: Staged, kind: EdgeKind, wires: Sequence[_Wire]) -> None:
    if wires:
        types, starts, ends, keys, told = zip(*wires, strict=True)
        columns: dict[str, Any] = {":type": [str(each) for each in types], ":start": starts, ":end": ends, ":key": keys}
        columns |= {name: [each.get(name) for each in told] for name in dict.fromkeys(n for each in told for n in each)}
        _add(staged, kind, columns)


def _add(staged: Staged, kind: NodeKind | EdgeKind, columns: dict[str, Any]) -> None:
    """What is declared counts, whatever else is said of it."""
    import pyarrow as pa

    from cortigraph.ingest.staging.folding import folded

    def clash(row: int, _: int, name: str, value: Any) -> None:
        what = " → ".join(str(both.tables[kind][each][row]) for each in KEYS[type(kind)])
        raise InputError(f"the job declares {kind} {what}, and its sources say another {name}: {value!r}; say it once")

    types = dict.fromkeys(KEYS[type(kind)], pa.string())
    table = normal(pa.table({name: pa.array(values, types.get(name)) for name, values in columns.items()}))
    both = Elements({kind: table})
    if kind in staged.elements.tables:
        both.add(kind, staged.elements.tables[kind])
    staged.elements.tables[kind] = folded(kind, both.tables[kind], clash, staged.weak.get(kind, ()))

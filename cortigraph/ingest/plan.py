"""What a job would change in the graph, without changing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from cortigraph.graph.schema import Label
from cortigraph.ingest.batches import ledger
from cortigraph.ingest.batches.changes import Change, statement
from cortigraph.ingest.batches.first import loads_first
from cortigraph.ingest.elements import Kind, NodeKind, properties
from cortigraph.ingest.staging import data
from cortigraph.ingest.work import Options, Work

if TYPE_CHECKING:
    import pyarrow as pa

    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store
    from cortigraph.ingest.job import Job
    from cortigraph.tables.base import Progress

__all__ = ["Plan", "Shape", "plan"]


# Measured on two cores, rounded down: elements and texts a second, and the seconds that one region takes.
_CREATED, _UPDATED, _LOADED, _TEXTS = 20_000.0, 10_000.0, 150_000.0, 150.0
_REGION_SECONDS, _ENCODER_SECONDS, _WRITE_SECONDS = 0.5, 2.0, 0.5
_KEYS_SHOWN, _TYPES_SHOWN = 20, 20
_DECLARED = (Label.AREA, Label.REGION, Label.DATASET)


@dataclass(frozen=True)
class Shape:
    """What a job says about one kind of element.

    Args:
        kind: A label, or the labels of the two ends.
        rows: How many there are.
        properties: Name → type.
        types: For relationships, type → how many, the most frequent first.
        more: How many further types there are.
    """

    kind: str
    rows: int
    properties: Mapping[str, str]
    types: Mapping[str, int] = field(default_factory=dict)
    more: int = 0


@dataclass(frozen=True)
class Plan:
    """What a run of a job would do now.

    Args:
        job: Its name.
        source: Its file, or its name where it comes with the package.
        counts: Kind → created, updated, deleted, unchanged → how many.
        schema: What it says, kind by kind.
        keys: Action → some of the areas, regions and data sets that it would be done to.
        texts: How many texts would be embedded.
        seconds: About how long a run takes.
        cypher: The statements that change the graph; none when nothing changes.
        imported: Whether it goes through Neo4j's import tool, and not through these statements.
        rejected: How many rows are wrong.
        folded: Kind → how many rows only say again what others say.
    """

    job: str
    source: str
    counts: Mapping[str, Mapping[str, int]]
    schema: tuple[Shape, ...]
    keys: Mapping[str, tuple[str, ...]]
    texts: int
    seconds: float
    cypher: tuple[str, ...]
    imported: bool = False
    rejected: int = 0
    folded: Mapping[str, int] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether the graph holds all of it already."""
        return not self.cypher

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        return {**asdict(self), "seconds": round(self.seconds, 1), "empty": self.empty}


def plan(
    store: Store,
    home: Home,
    job: Job,
    options: Options | None = None,
    *,
    tables: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> Plan:
    """Reads a job's sources and compares them with the graph; nothing is written.

    A data set that the graph knows is decoded if its files have changed since, because only that shows whether the
    samples have; a new one is only listed.

    Args:
        store: Only read.
        home: Where archives, decoded data and weights lie.
        job: As loaded.
        options: How it would be run.
        tables: Sources from Python, by name.
        progress: Told how far it is.

    Returns:
        What a run would do.

    Raises:
        InputError: Everything that would stop a run, as far as it shows without decoding new data; by line.
    """
    quiet = progress or (lambda what, done, whole: None)
    work = Work(store, home, job, options or Options(), tables, quiet)
    staged = work.staged(dry=True)
    found = work.found(staged, ledger.records(store))
    changes = found.difference.changes
    imported = work.options.first_load and loads_first(store, changes) is not None
    return Plan(
        job=job.job,
        source=job.origin.key,
        counts=found.difference.told(),
        schema=tuple(_shape(kind, table) for kind, table in staged.elements),
        keys=_keys(changes),
        texts=_texts(changes),
        seconds=_seconds(job, changes, imported),
        cypher=tuple(dict.fromkeys(statement(change) for change in changes)),
        imported=imported,
        rejected=len(work.rejects),
        folded=work.folded(staged),
    )


def _shape(kind: Kind, table: pa.Table) -> Shape:
    types = {name: str(table.schema.field(name).type) for name in properties(table)}
    if isinstance(kind, NodeKind):
        return Shape(str(kind), len(table), types)
    counts = Counter({each["values"]: each["counts"] for each in table[":type"].value_counts().to_pylist()})
    shown = dict(counts.most_common(_TYPES_SHOWN))
    return Shape(str(kind), len(table), types, shown, len(counts) - len(shown))


def _keys(changes: list[Change]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for change in changes:
        if isinstance(change.kind, NodeKind) and change.kind.label in _DECLARED:
            told = [f"{change.kind} {key}" for key in change.table[":key"].slice(0, _KEYS_SHOWN).to_pylist()]
            name = f"{change.action}d"
            found[name] = (*found.get(name, ()), *told)[:_KEYS_SHOWN]
    return found


def _texts(changes: list[Change]) -> int:
    texts = [change.table[":text"] for change in changes if ":text" in change.table.column_names]
    return sum(len(column) - column.null_count for column in texts)


def _seconds(job: Job, changes: list[Change], imported: bool) -> float:
    if not changes:
        return 0.0
    elements = {action: sum(len(c.table) for c in changes if c.action == action) for action in ("create", "update")}
    texts = _texts(changes)
    written = elements["create"] / (_LOADED if imported else _CREATED) + elements["update"] / _UPDATED
    declares = bool(job.regions or job.built_in)
    regions = sum(len(c.table) for c in changes if c.kind == NodeKind(Label.REGION)) if declares else 0
    known = {key for c in changes if c.kind == NodeKind(Label.DATASET) for key in c.table[":key"].to_pylist()}
    decoding = sum(data.seconds_to_decode(job, item) for item in job.datasets if item.key in known)
    encoder = _ENCODER_SECONDS if texts or regions or decoding else 0.0
    return _WRITE_SECONDS + written + texts / _TEXTS + encoder + _REGION_SECONDS * regions + decoding

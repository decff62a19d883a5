"""Catalogue: areas and regions in the graph.

    declare    areas and regions → graph; twice is once
    areas      graph → areas
    regions    graph → regions, of one area or all
    region     graph → the region of a key
    built_in   what comes with the package; has_built_in: whether the graph had it

What people query lies in scalar properties (name, builder, parameters, flops, latency_ms, licence, trainable…), the
rest beside it as JSON text. Profile and embedding are measured only for regions that are new or have changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from cortigraph.graph.errors import CortigraphError, InputError, StoreError, UnknownKeyError, brief
from cortigraph.graph.schema import Label, RelType
from cortigraph.regions.ports import Port
from cortigraph.regions.region import Area, Region

if TYPE_CHECKING:
    from cortigraph.graph.store import Store, Transaction
    from cortigraph.regions.weights import WeightStore

__all__ = ["area_row", "areas", "built_in", "declare", "has_built_in", "region", "region_rows", "regions", "wires"]

T = TypeVar("T")

_UNREADABLE = (InputError, LookupError, TypeError, ValueError, AttributeError)  # pydantic's and JSON's are among them

# Part of every fingerprint: counting it up has all regions measured again.
_MEASURES = 1

# An area or a region that is known by its results alone was never declared: nothing can be built of it.
_AREAS = "MATCH (a:Area&!Entity) WHERE a.accepts IS NOT NULL RETURN a {.*} AS node ORDER BY a.key"
_REGIONS = """
MATCH (:Area&!Entity)-[:HAS_REGION]->(r:Region&!Entity)
WHERE r.builder IS NOT NULL AND ($area IS NULL OR r.area = $area)
RETURN r {.*, embedding: null} AS node ORDER BY r.key"""
_REGION = "MATCH (r:Region&!Entity {key: $key}) WHERE r.builder IS NOT NULL RETURN r {.*, embedding: null} AS node"
_KEYS = "MATCH (r:Region&!Entity) WHERE r.builder IS NOT NULL RETURN r.key AS key"
_BUILT_IN = """
RETURN EXISTS { MATCH (r:Region&!Entity) WHERE r.key IN $keys }
       OR EXISTS { MATCH (b:Batch&!Entity {job: 'standard'}) } AS there"""
_FINGERPRINTS = "MATCH (r:Region&!Entity) WHERE r.key IN $keys RETURN r.key AS key, r.fingerprint AS fingerprint"
_MEASURED = """
MATCH (r:Region&!Entity) WHERE r.key IN $keys
RETURN r.key AS key, r {.parameters, .flops, .latency_ms, .batch_latency_ms, .embedding, .text_embedding} AS measured"""
# A region whose ports changed is wired anew: relationships that are merged would only add up.
_UNWIRE = "MATCH (r:Region&!Entity)-[e:ACCEPTS|EMITS|DERIVED_FROM]->() WHERE r.key IN $keys DELETE e"


def declare(
    target: Store | Transaction,
    areas: Iterable[Area],
    regions: Iterable[Region],
    *,
    weights: WeightStore | None = None,
) -> list[str]:
    """Writes areas and regions to the graph, all or none.

    Args:
        target: The store, or an open transaction.
        areas: Written before the regions; an area that is there already need not be given again.
        regions: Each is built, profiled and embedded if the graph does not have it in just this form.
        weights: Where the weights of regions lie that have any.

    Returns:
        The keys of the regions that were new or had changed.

    Raises:
        InputError: A key is there twice, or a region's area or origin is missing; lists every problem.
        UnknownKeyError: A builder, or weights, are not there.

    Example:
        >>> declare(store, *built_in())  # doctest: +SKIP
        ['audio.recognition/001', 'audio.recognition/002', …]
    """
    areas, regions = list(areas), list(regions)
    problems = _problems(target, areas, regions)
    if problems:
        raise InputError(problems)
    known = _fingerprints(target, regions)
    fresh = [region for region in regions if known.get(region.key) != _fingerprint(region)]
    area_rows = [area_row(area) for area in areas]
    # Measured before anything is written, so that no transaction stays open meanwhile.
    region_rows = [{**_declared(region), **_measured(region, weights)} for region in fresh]
    target.execute(lambda transaction: _write(transaction, area_rows, fresh, region_rows))
    return [region.key for region in fresh]


def area_row(area: Area) -> dict[str, Any]:
    """An area as the properties of its node."""
    return {
        "key": area.key,
        "name": area.name,
        "description": area.description,
        "accepts": _port_text(area.accepts),
        "emits": _port_text(area.emits),
    }


def region_rows(
    target: Store | Transaction, told: Sequence[Region], weights: WeightStore | None = None, *, measure: bool = True
) -> list[dict[str, Any]]:
    """Regions as the properties of their nodes; only those that are new or have changed are built and measured.

    Args:
        target: The store, or an open transaction; only read.
        told: The regions.
        weights: Where the weights of regions lie that have any.
        measure: Whether to measure at all; without it, what would be measured is left out.
    """
    known = _fingerprints(target, told)
    same = [region.key for region in told if known.get(region.key) == _fingerprint(region)]
    kept = {row["key"]: row["measured"] for row in target.read(_MEASURED, keys=same)}
    rows = []
    for region in told:
        measured = kept.get(region.key)
        if measured is None or not all(isinstance(each, int | float | list) for each in measured.values()):
            measured = _measured(region, weights) if measure else {}
        rows.append({**_declared(region), **measured})
    return rows


def wires(region: Region) -> list[tuple[RelType, str, str, str | None]]:
    """The relationships of a region: type, start, end and, for a port, its name."""
    ports = [(RelType.ACCEPTS, port) for port in region.accepts] + [(RelType.EMITS, port) for port in region.emits]
    found: list[tuple[RelType, str, str, str | None]] = [(RelType.HAS_REGION, region.area, region.key, None)]
    found += [(kind, region.key, port.modality, port.name) for kind, port in ports]
    return found + ([(RelType.DERIVED_FROM, region.key, region.derived_from, None)] if region.derived_from else [])


def areas(store: Store | Transaction) -> list[Area]:
    """Every area in the graph that can be read, by key; `db check` names the others."""
    return _readable(_area, store.read(_AREAS))


def regions(store: Store | Transaction, area: str | None = None) -> list[Region]:
    """The regions in the graph that can be read, by key; `db check` names the others.

    Args:
        store: The store, or an open transaction.
        area: Only those of this area.

    Raises:
        UnknownKeyError: There is no such area; the nearest are given.
    """
    if area is not None:
        known = [each.key for each in areas(store)]
        if area not in known:
            raise UnknownKeyError("area", area, known)
    return _readable(_region, store.read(_REGIONS, area=area))


def region(store: Store | Transaction, key: str) -> Region:
    """The region of a key.

    Args:
        store: The store, or an open transaction.
        key: `area/id`.

    Raises:
        UnknownKeyError: There is no such region; the nearest are given.
        StoreError: Somebody has set properties of it to what no region has.
    """
    rows = store.read(_REGION, key=key)
    if not rows:
        raise UnknownKeyError("region", key, [row["key"] for row in store.read(_KEYS)])
    try:
        return _region(rows[0]["node"])
    except _UNREADABLE as error:
        raise StoreError(f"region {key} can't be read ({brief(error)}); declare it again, or delete it") from error


def built_in() -> tuple[list[Area], list[Region]]:
    """The areas and regions that come with the package.

    Example:
        >>> [area.key for area in built_in()[0]]
        ['audio.recognition', 'fusion', 'language.encoding', 'vision.recognition']
        >>> len(built_in()[1])
        15
    """
    from cortigraph.regions import audio, fusion, language, vision

    modules = (audio, fusion, language, vision)
    return (
        [area for module in modules for area in module.AREAS],
        [region for module in modules for region in module.REGIONS],
    )


def has_built_in(store: Store) -> bool:
    """Whether what comes with the package was ever declared here, whatever became of it; or a key of it is taken."""
    return bool(store.read(_BUILT_IN, keys=[region.key for region in built_in()[1]])[0]["there"])


def _problems(target: Store | Transaction, new: Sequence[Area], told: Sequence[Region]) -> list[str]:
    keys = [area.key for area in new] + [region.key for region in told]
    problems = [
        f"{key!r} is declared twice; give each its own ID" for key in sorted({k for k in keys if keys.count(k) > 1})
    ]
    places = {area.key for area in new} | {area.key for area in areas(target)}
    problems += [
        f"region {region.key}: there is no area {region.area!r}; declare it, or choose from {', '.join(sorted(places))}"
        for region in told
        if region.area not in places
    ]
    origins = {*keys, *(row["key"] for row in target.read(_KEYS))}
    return problems + [
        f"region {region.key}: it derives from {region.derived_from!r}, which is not there; declare that region first"
        for region in told
        if region.derived_from is not None and region.derived_from not in origins
    ]


def _fingerprints(target: Store | Transaction, told: Sequence[Region]) -> dict[str, str]:
    rows = target.read(_FINGERPRINTS, keys=[region.key for region in told])
    return {row["key"]: row["fingerprint"] for row in rows}


def _fingerprint(region: Region) -> str:
    content = json.dumps([_MEASURES, region.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _write(
    transaction: Transaction, area_rows: list[dict[str, Any]], fresh: list[Region], region_rows: list[dict[str, Any]]
) -> None:
    from cortigraph.graph.write import merge_edges, merge_nodes

    merge_nodes(transaction, Label.AREA, area_rows)
    merge_nodes(transaction, Label.REGION, region_rows)
    ports = [port for region in fresh for port in (*region.accepts, *region.emits)]
    merge_nodes(transaction, Label.MODALITY, [{"key": m, "name": m} for m in sorted({p.modality for p in ports})])
    transaction.write(_UNWIRE, keys=[region.key for region in fresh])
    holds = [{"start": region.area, "end": region.key} for region in fresh]
    merge_edges(transaction, RelType.HAS_REGION, Label.AREA, Label.REGION, holds)
    accepts = [row for region in fresh for row in _wires(region.key, region.accepts)]
    merge_edges(transaction, RelType.ACCEPTS, Label.REGION, Label.MODALITY, accepts)
    emits = [row for region in fresh for row in _wires(region.key, region.emits)]
    merge_edges(transaction, RelType.EMITS, Label.REGION, Label.MODALITY, emits)
    origins = [{"start": region.key, "end": region.derived_from} for region in fresh if region.derived_from]
    merge_edges(transaction, RelType.DERIVED_FROM, Label.REGION, Label.REGION, origins)


def _wires(key: str, ports: Iterable[Port]) -> list[dict[str, Any]]:
    # A region may have several ports of one modality: the key tells their relationships apart.
    return [{"start": key, "end": port.modality, "key": port.name, "port": port.name} for port in ports]


def _declared(region: Region) -> dict[str, Any]:
    return {
        **region.model_dump(mode="json", exclude={"arguments", "accepts", "emits", "shapes"}),
        "key": region.key,
        "arguments": json.dumps(region.arguments, sort_keys=True),
        "accepts": _port_text(region.accepts),
        "emits": _port_text(region.emits),
        "shapes": json.dumps(region.shapes),
        "fingerprint": _fingerprint(region),
    }


def _measured(region: Region, weights: WeightStore | None) -> dict[str, Any]:
    from cortigraph.regions.embedding import VIEWS, embed_region, seeded
    from cortigraph.regions.profile import profile

    module = seeded(region, weights)
    try:
        embedding, cost = embed_region(region, module=module), profile(module, region.typical())
    except CortigraphError:
        raise
    # Whatever a user's forward raises; nobody else has run it at these sizes and values yet.
    except Exception as error:
        told = ", ".join(map(str, region.typical()))
        raise InputError(
            f"region {region.key} can't be run on probes for {told} ({brief(error)}); declare its sizes under shapes"
        ) from error
    text = embedding[VIEWS["text"]]
    return {
        **cost.model_dump(),
        "embedding": embedding.tolist(),
        "text_embedding": (text / max(float((text @ text) ** 0.5), 1e-12)).tolist(),
    }


def _area(node: dict[str, Any]) -> Area:
    told = {name: node[name] for name in ("key", "name", "description")}
    return Area(**told, accepts=_ports(node["accepts"]), emits=_ports(node["emits"]))


def _region(node: dict[str, Any]) -> Region:
    told = {name: node[name] for name in Region.model_fields if node.get(name) is not None}
    told |= {"arguments": json.loads(node["arguments"]), "shapes": json.loads(node["shapes"])}
    told |= {"accepts": _ports(node["accepts"]), "emits": _ports(node["emits"])}
    return Region.model_validate(told)


def _readable(make: Callable[[dict[str, Any]], T], rows: Iterable[dict[str, Any]]) -> list[T]:
    """What a hand or a job has made unreadable must not keep the rest from serving."""
    found = []
    for row in rows:
        with suppress(*_UNREADABLE):
            found.append(make(row["node"]))
    return found


def _port_text(ports: Iterable[Port]) -> str:
    return json.dumps({port.name: str(port) for port in ports})


def _ports(text: str) -> tuple[Port, ...]:
    return tuple(Port.parse(name, port) for name, port in json.loads(text).items())

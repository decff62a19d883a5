"""Results as plain values: what JSON can hold and a table can show."""

from __future__ import annotations

import base64
from typing import Any

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """Turn what the driver gives into dicts, lists, text and numbers.

    Args:
        value: Of a result: also nodes, relationships, paths, points, dates and times.

    Returns:
        The same as JSON holds it. A node is `{"labels": […], "properties": {…}}`, a relationship
        `{"type": …, "start": …, "end": …, "properties": {…}}`, where start and end are keys.

    Example:
        >>> import datetime
        >>> plain({"on": datetime.date(2026, 9, 1), "x": [1, None, True]})
        {'on': '2026-09-01', 'x': [1, None, True]}
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    graph = _graph_value(value)
    if graph is not None:
        return graph
    if hasattr(value, "iso_format"):  # before the lists: a duration is a tuple, too
        return value.iso_format()
    return [plain(part) for part in value] if isinstance(value, list | tuple | set | frozenset) else str(value)


def _graph_value(value: Any) -> Any:
    from neo4j import graph, spatial

    if isinstance(value, graph.Node):
        return {"labels": sorted(value.labels), "properties": plain(dict(value))}
    if isinstance(value, graph.Relationship):
        ends = {"start": _name(value.start_node), "end": _name(value.end_node)}
        return {"type": value.type, **ends, "properties": plain(dict(value))}
    if isinstance(value, graph.Path):
        return {"nodes": [plain(n) for n in value.nodes], "relationships": [plain(r) for r in value.relationships]}
    if isinstance(value, spatial.Point):
        return {"srid": value.srid, "coordinates": list(value)}
    return None


def _name(node: Any) -> Any:
    """A relationship that comes without its nodes knows only the server's identifiers of them."""
    if node is None:
        return None
    return node.get("key") or node.element_id

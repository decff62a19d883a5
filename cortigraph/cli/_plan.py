"""The plan of a query, as EXPLAIN and PROFILE give it, as a tree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["asks_for_plan", "plan_lines"]

# Comments, and options such as `CYPHER runtime=slotted`, may come first.
_ASKS = re.compile(
    r"(?:\s|//[^\n]*(?:\n|$)|/\*.*?\*/|CYPHER\b|[\w.]+\s*=\s*[\w.]+|\d+(?:\.\d+)?)*(?:EXPLAIN|PROFILE)\b", re.I | re.S
)
_COUNTED = (("EstimatedRows", "estimated rows"), ("Rows", "rows"), ("DbHits", "db hits"), ("Time", "ns"))


def asks_for_plan(query: str) -> bool:
    """Whether a query asks for its plan.

    Args:
        query: Cypher.

    Example:
        >>> asks_for_plan("// look\\nPROFILE MATCH (n) RETURN n"), asks_for_plan("RETURN 'EXPLAIN'")
        (True, False)
    """
    return _ASKS.match(query) is not None


def plan_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    """The operators of a plan, each above those that feed it.

    Args:
        plan: As the server gives it.

    Example:
        >>> leaf = {"operatorType": "AllNodesScan@neo4j", "args": {"Details": "n", "EstimatedRows": 10.0}}
        >>> list(plan_lines({"operatorType": "ProduceResults@neo4j", "args": {}, "children": [leaf]}))
        ['ProduceResults', '└─ AllNodesScan  n  (10 estimated rows)']
    """
    args = plan.get("args", {})
    name = str(plan.get("operatorType", "")).partition("@")[0]
    counted = ", ".join(f"{args[key]:,.0f} {what}" for key, what in _COUNTED if isinstance(args.get(key), int | float))
    details = " ".join(str(args.get("Details", "")).split())
    yield "  ".join(part for part in (name, details, f"({counted})" if counted else "") if part)
    children = plan.get("children", [])
    for number, child in enumerate(children, 1):
        first, rest = ("└─ ", "   ") if number == len(children) else ("├─ ", "│  ")
        for place, line in enumerate(plan_lines(child)):
            yield (rest if place else first) + line

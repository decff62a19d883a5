"""`cortigraph regions`: the catalogue."""

from __future__ import annotations

from typing import Annotated

import typer

from cortigraph.cli._options import HomeOption, JsonArray
from cortigraph.cli._screen import say_json

__all__ = ["regions"]

_QUERY = """
MATCH (a:Area&!Entity)-[:HAS_REGION]->(r:Region&!Entity) WHERE $area IS NULL OR a.key = $area
OPTIONAL MATCH (run:Run&!Entity)-[:OF]->(r)
RETURN r.key AS key, r.name AS name, r.parameters AS parameters, r.flops AS flops, r.latency_ms AS latency_ms,
       count(run) AS runs, max(run.accuracy) AS best, r.description AS description
ORDER BY key
"""


def regions(
    area: Annotated[str | None, typer.Argument(help="Only those of this area, such as vision.recognition.")] = None,
    as_json: JsonArray = False,
    home: HomeOption = None,
) -> None:
    """The catalogue: regions with their measured cost and how often they were trained."""
    import cortigraph
    from cortigraph.cli._rows import show_rows
    from cortigraph.graph.errors import UnknownKeyError

    with cortigraph.open(home=home) as brain:
        rows = brain.cypher(_QUERY, area=area)
        if not rows and area is not None:
            known = [row["key"] for row in brain.cypher("MATCH (a:Area&!Entity) RETURN a.key AS key")]
            if area not in known:
                raise UnknownKeyError("area", area, known)
    if as_json:
        say_json(rows)
    elif rows:
        show_rows(rows)
    else:
        typer.echo("no regions; `cortigraph ingest run standard` declares those that come with the package")

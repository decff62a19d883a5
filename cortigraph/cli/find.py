"""`cortigraph find`: what a text is about."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cortigraph.cli._options import HomeOption, JsonArray
from cortigraph.cli._screen import Console, Text, say_json

__all__ = ["find"]


def find(
    text: Annotated[str, typer.Argument(help="Words; nothing in them is an operator.")],
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label", "-l", help="Look among these only, such as Region, or a label of your own; may be repeated."
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many.")] = 10,
    as_json: JsonArray = False,
    home: HomeOption = None,
) -> None:
    """Find regions, data sets, scenes, entities and pathways by words and by meaning."""
    import cortigraph

    with cortigraph.open(home=home) as brain:
        hits = brain.find(text, top=top, labels=label)
    if as_json:
        say_json([asdict(hit) for hit in hits])
        return
    if not hits:
        typer.echo("nothing found")
        return
    from rich.table import Table

    table = Table("", "key", "name", "what is said of it")
    for hit in hits:
        kind = ", ".join(name for name in hit.labels if name != hit.label) or hit.label
        table.add_row(*(Text(part) for part in (kind, hit.key, hit.name, " ".join(hit.snippet.split())[:80])))
    Console().print(table)

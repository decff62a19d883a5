"""`cortigraph rank`: which regions suit a scene, and why."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["rank"]


def rank(
    scene: Annotated[Path, typer.Argument(help="A scene file.")],
    memory: Annotated[
        str, typer.Option(help="What may be recalled: all, none, or scene keys joined by commas.")
    ] = "all",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    home: Annotated[str | None, typer.Option(help="The home folder; else CORTIGRAPH_HOME.")] = None,
) -> None:
    """Which regions suit a scene: expected accuracy, its uncertainty, cost and reasons. Trains nothing."""
    import cortigraph
    from cortigraph.cli.progress import show_ranking
    from cortigraph.cli.solve import remembered

    with cortigraph.open(home=home) as brain:
        ranked = brain.rank_regions(scene, remember=remembered(memory))
    if as_json:
        typer.echo(json.dumps({slot: [asdict(region) for region in regions] for slot, regions in ranked.items()}))
    else:
        show_ranking(ranked)

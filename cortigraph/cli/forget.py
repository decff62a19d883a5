"""`cortigraph forget`: a scene's searches go, with all that came of them."""

from __future__ import annotations

from typing import Annotated

import typer

from cortigraph.cli._options import HomeOption, Json
from cortigraph.cli._screen import say_json

__all__ = ["forget"]


def forget(
    scene: Annotated[str, typer.Argument(help="Key of a scene.")],
    as_json: Json = False,
    home: HomeOption = None,
) -> None:
    """Remove a scene's searches, candidates, runs and pathways, so that it is solved anew. Weights stay."""
    import cortigraph

    with cortigraph.open(home=home) as brain:
        gone = brain.forget(scene)
    if as_json:
        say_json({"scene": scene, "nodes": gone})
        return
    typer.echo(f"{gone} nodes removed")

"""`cortigraph worker`: takes candidates of the searches that are under way in the graph."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from cortigraph.cli._options import HomeOption
from cortigraph.cli._screen import say_json

__all__ = ["worker"]


def worker(
    search: Annotated[str | None, typer.Option(help="Only this search, or those of this scene.")] = None,
    uri: Annotated[str | None, typer.Option(help="The server; else CORTIGRAPH_URI, else the home's own.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Folder of the weights, shared with whoever solves; else the home's.")
    ] = None,
    idle: Annotated[
        float | None, typer.Option(min=0, help="Seconds without work after which it leaves; else it stays.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of training; else all cores.")] = None,
    lease: Annotated[
        float, typer.Option(min=1, help="Seconds without a sign of life after which others take its candidate up.")
    ] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
    home: HomeOption = None,
) -> None:
    """Helps searches along, on any machine that reaches the store. Stop it at any time: nothing is lost.

    The samples are read where the scene says that they lie, and weights are files: share both folders.
    """
    from cortigraph.brain import Brain
    from cortigraph.cli.progress import SolveProgress
    from cortigraph.reasoning.solving.help import help_along, leave_when_told

    leave_when_told()
    remote = uri or os.environ.get("CORTIGRAPH_URI")
    with Brain.open(remote, home=home) as brain, SolveProgress(quiet=as_json, title=f"worker {os.getpid()}") as shown:
        helped = help_along(
            brain.store,
            brain.home,
            search,
            weights=weights,
            idle=idle,
            threads=threads,
            lease=lease,
            watcher=shown,
        )
    if as_json:
        say_json({"searches": helped})

"""What the commands about reasoners share: options, a saved reasoner, and how they say things."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortigraph.cli._bars import bars, opened
from cortigraph.cli._screen import Console, say_json
from cortigraph.graph.errors import InputError

if TYPE_CHECKING:
    from cortigraph.reasoning.reasoners.artefact import Artefact
    from cortigraph.reasoning.reasoners.facts import Facts
    from cortigraph.reasoning.reasoners.structure import Rows
    from cortigraph.reasoning.reasoners.train import Told

__all__ = [
    "Choices",
    "Graph",
    "Only",
    "Saved",
    "Triples",
    "announce",
    "counts",
    "known_only",
    "load",
    "say",
    "show",
    "size",
]

Triples = Annotated[Path, typer.Option("--triples", help="A folder with train, valid and test .txt, perhaps .gz.")]
Graph = Annotated[Path | None, typer.Option("--graph", help="Facts that may be known; else train.txt of the folder.")]
Saved = Annotated[str, typer.Argument(help="A file that `train` made, or a reasoner's name, key or hash.")]
Only = Annotated[str | None, typer.Option("--only", help="known or predicted; both when left out.")]
Choices = Annotated[
    list[str] | None, typer.Option("--set", help="A setting, such as seconds=60 or seed=1; may be repeated.")
]


def known_only(only: str | None) -> bool | None:
    """What `--only` says: only what is known, only what is not, or both."""
    wanted = {None: None, "known": True, "predicted": False}
    if only not in wanted:
        raise InputError(f"--only is known or predicted, got {only!r}")
    return wanted[only]


def load(which: str, home: str | None) -> Artefact:
    """A file or a hash needs no store; a name does."""
    from cortigraph.graph.home import Home
    from cortigraph.reasoning.asking import shelf
    from cortigraph.reasoning.reasoners import artefact

    if Path(which).is_file() or which.startswith("sha256:"):
        return artefact.load(shelf.file_of(Home.resolve(home), which))
    with bars() as shown, opened(home, shown, read_only=True) as (store, place):
        return artefact.load(shelf.file_of(place, which, shelf.shelved(store)))


def counts(facts: Facts) -> dict[str, int]:
    """How large a graph is."""
    return {"entities": len(facts.entities), "relations": len(facts.relations), "facts": len(facts)}


def size(facts: Facts, valid: Rows) -> None:
    """Says how much is learned from."""
    told = ", ".join(f"{count:,} {what}" for what, count in counts(facts).items())
    typer.echo(f"{told}, {len(valid):,} more held out", err=True)


def announce(
    reasoner: str, facts: Facts, valid: Rows, choices: dict[str, str], also: Sequence[tuple[Facts, Rows]] = ()
) -> None:
    """Says what is learned from, and what it will take."""
    from cortigraph.reasoning.reasoners.estimate import estimate

    for graph in ((facts, valid), *also):
        size(*graph)
    typer.echo(str(estimate(reasoner, facts, valid, choices, also)), err=True)


def show(told: Told) -> None:
    """Says how far a training is."""
    better = f"  validation MRR {told.mrr:.4f}" if told.mrr is not None else ""
    typer.echo(f"{told.seconds:6.0f} s  loss {told.loss:.4f}{better}", err=True)


def say(values: dict[str, Any], as_json: bool) -> None:
    """Says what came of it: a table, or one JSON object."""
    if as_json:
        say_json(values)
        return
    from rich.table import Table

    table = Table("", "")
    for name, value in values.items():
        table.add_row(name, f"{value:.4f}" if isinstance(value, float) else str(value))
    Console().print(table)

"""`cortigraph search`: searches that are under way."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cortigraph.cli._options import HomeOption
from cortigraph.cli._screen import Console, say_json

if TYPE_CHECKING:
    from rich.table import Table

    from cortigraph.reasoning.solving.watch import Glance

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Searches that are under way.")

_EVERY = 1.0  # seconds
_SHOWN = 24  # candidates, the latest


@app.callback()
def _group() -> None:
    """Searches that are under way."""


@app.command()
def watch(
    name: Annotated[str, typer.Argument(help="A scene's key, or a search's.")],
    once: Annotated[bool, typer.Option("--once", help="Show it once and leave.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, once.")] = False,
    home: HomeOption = None,
) -> None:
    """Show which candidate is whose, and how they do, until the search is done. Only looks."""
    from rich.live import Live

    import cortigraph
    from cortigraph.reasoning.solving.watch import glance

    with cortigraph.open(home=home, read_only=True) as brain:
        seen = glance(brain.store, name)
        if as_json:
            say_json(asdict(seen))
            return
        console = Console()
        if once or not console.is_terminal:
            console.print(_table(seen))
            return
        with Live(_table(seen), console=console, auto_refresh=False) as shown:
            while seen.state == "running":
                time.sleep(_EVERY)
                seen = glance(brain.store, seen.search)
                shown.update(_table(seen), refresh=True)


def _table(seen: Glance) -> Table:
    from rich.table import Table

    done = sum(one.state in ("done", "failed") and one.counts for one in seen.candidates)
    of = f" of {seen.trials}" if seen.trials else ""
    best = "" if seen.best is None else f", best {seen.best:.3f}"
    table = Table(title=f"{seen.search} ({seen.strategy}, {seen.state}): {done}{of} done{best}, {seen.workers} at work")
    slots = list(seen.candidates[0].regions) if seen.candidates else []
    for name in ("trial", *slots, "state", "accuracy", "seconds", "worker", ""):
        table.add_column(name)
    styles = {"running": "cyan", "failed": "red", "left": "yellow"}
    for one in seen.candidates[-_SHOWN:]:
        told = f"{one.doing}{f' (begun {one.attempts} times)' if one.attempts > 1 else ''}"
        table.add_row(
            str(one.index + 1),
            *(one.regions.get(slot, "").rpartition("/")[2] for slot in slots),
            one.state,
            "" if one.accuracy is None or one.state != "done" else f"{one.accuracy:.3f}",
            "" if one.seconds is None else f"{one.seconds:.1f}",
            one.worker,
            told,
            style=styles.get(one.state, ""),
        )
    return table

"""`cortigraph ingest`: what a batch job would change, and the change itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store
    from cortigraph.ingest.plan import Plan

__all__ = ["app"]

QUIET_SECONDS = 2.0

app = typer.Typer(no_args_is_help=True, help="Batch jobs: declare areas, regions and data sets from YAML.")

JobArgument = Annotated[str, typer.Argument(help="A YAML file, or `standard`, which comes with the package.")]
HomeOption = Annotated[str | None, typer.Option(help="The home folder; else CORTIGRAPH_HOME.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def plan(job: JobArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Show what a run would create, update and leave, how long it takes, and its Cypher. Writes nothing."""
    from cortigraph.ingest.job import load_job
    from cortigraph.ingest.plan import plan as compare

    loaded = load_job(job)
    with _bars() as bars, _opened(home, bars) as (store, place):
        found = compare(store, place, loaded, bars)
    if as_json:
        typer.echo(json.dumps(found.to_json(), ensure_ascii=False))
        return
    _show_counts(found.counts())
    _show_changes(found)


@app.command()
def run(job: JobArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Write what a job declares, all of it or nothing. Running it again changes nothing."""
    from cortigraph.ingest.apply import run as apply
    from cortigraph.ingest.job import load_job

    loaded = load_job(job)
    with _bars() as bars, _opened(home, bars) as (store, place):
        report = apply(store, place, loaded, bars)
    if as_json:
        typer.echo(json.dumps(report.to_json(), ensure_ascii=False))
        return
    _show_counts(report.counts)
    if report.batch is None:
        typer.echo(f"nothing to do: the graph holds all of it ({report.seconds:.1f} s)")
        return
    changed = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in report.counters.items())
    typer.echo(f"batch {report.batch} in {report.seconds:.1f} s: {changed}")


def _show_counts(counts: Mapping[str, Mapping[Any, int]]) -> None:
    from rich.console import Console
    from rich.table import Table

    actions = ("created", "updated", "unchanged")
    table = Table("", *actions)
    for kind, count in counts.items():
        table.add_row(kind, *(str(count[action]) for action in actions))
    Console().print(table)


def _show_changes(found: Plan) -> None:
    if found.empty:
        typer.echo("nothing to do: the graph holds all of it")
        return
    for change in found.changes:
        if change.action != "unchanged":
            typer.echo(f"{change.action} {change.kind} {change.key}")
    typer.echo(f"\nabout {max(1, round(found.seconds))} s, in one transaction:")
    for statement in found.cypher:
        typer.echo(f"\n{statement};")


@contextmanager
def _opened(home: str | None, bars: _Bars) -> Iterator[tuple[Store, Home]]:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import open_store

    place = Home.resolve(home)
    bars("opening the store", 0, 0)
    with open_store(
        place if home else None, progress=lambda done, whole, text: bars("fetching the server", done, whole)
    ) as store:
        bars("opening the store", 1, 1)
        yield store, place


@contextmanager
def _bars() -> Iterator[_Bars]:
    bars = _Bars()
    try:
        yield bars
    finally:
        bars.stop()


class _Bars:
    """Progress on the error stream, shown only once things take longer than two seconds."""

    def __init__(self) -> None:
        self._tasks: dict[str, TaskID] = {}
        self._progress = _progress()
        self._timer = threading.Timer(QUIET_SECONDS, self._progress.start)
        self._timer.daemon = True
        if self._progress.console.is_terminal:
            self._timer.start()

    def __call__(self, what: str, done: int, whole: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=None)
        # Nothing done yet: a bar that moves to and fro, because some things can't say how far they are.
        self._progress.update(self._tasks[what], completed=done, total=whole if done else None)

    def stop(self) -> None:
        """Takes the bars away."""
        self._timer.cancel()
        self._progress.stop()


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)

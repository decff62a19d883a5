"""`cortigraph ingest`: what a batch job would change, the change itself, and what became of earlier ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortigraph.cli._options import HomeOption, Json, JsonArray
from cortigraph.cli._screen import Console, Text, say_json

if TYPE_CHECKING:
    from cortigraph.ingest.plan import Plan
    from cortigraph.ingest.revert import Resumed
    from cortigraph.ingest.run import Report

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Batch jobs in YAML: plan, run, resume, revert, abandon, status.")

JobArgument = Annotated[str, typer.Argument(help="A YAML file, or `standard`, which comes with the package.")]
PruneOption = Annotated[
    bool, typer.Option("--prune", help="Take back what earlier runs brought and the sources speak of no more.")
]
MaxRejectsOption = Annotated[
    int | None, typer.Option(min=0, help="Wrong rows to leave out before everything stops; else as the job says.")
]
MendedOption = Annotated[
    Path | None, typer.Option("--mended", help="Read the sources from a folder of rejects, after they were mended.")
]


@app.command()
def plan(
    job: JobArgument,
    as_json: Json = False,
    home: HomeOption = None,
    prune: PruneOption = False,
    max_rejects: MaxRejectsOption = None,
    mended: MendedOption = None,
) -> None:
    """Show what a run would create, update and leave, how long it takes, and its Cypher. Writes nothing."""
    from cortigraph.cli._bars import bars, opened
    from cortigraph.ingest.job import load_job
    from cortigraph.ingest.plan import plan as compare
    from cortigraph.ingest.work import Options

    loaded = load_job(job)
    options = Options(prune=prune, max_rejects=max_rejects, mended=mended)
    with bars() as shown, opened(home, shown) as (store, place):
        found = compare(store, place, loaded, options, progress=shown)
    if as_json:
        say_json(found.to_json())
        return
    _show_plan(found)


@app.command()
def run(
    job: JobArgument,
    as_json: Json = False,
    home: HomeOption = None,
    prune: PruneOption = False,
    max_rejects: MaxRejectsOption = None,
    rejects: Annotated[Path | None, typer.Option(help="Folder for the rows that are left out.")] = None,
    mended: MendedOption = None,
    first_load: Annotated[
        bool,
        typer.Option("--first-load/--no-first-load", help="Fill an empty store by the import tool."),
    ] = True,
) -> None:
    """Write what a job declares. Running it again changes nothing; killed, it is finished by `resume`."""
    from cortigraph.cli._bars import bars, opened
    from cortigraph.graph.home import Home
    from cortigraph.ingest.batches.intent import Intent
    from cortigraph.ingest.job import load_job
    from cortigraph.ingest.run import run as apply
    from cortigraph.ingest.work import Options

    loaded = load_job(job)
    options = Options(prune, max_rejects, rejects, mended, first_load)
    # Noted before the server is even started: from here on `resume` knows of it.
    with Intent(Home.resolve(home), loaded, options), bars() as shown, opened(home, shown) as (store, place):
        report = apply(store, place, loaded, options, progress=shown)
    if as_json:
        say_json(report.to_json())
        return
    _show_report(report)


@app.command()
def resume(as_json: Json = False, home: HomeOption = None) -> None:
    """Go on after a crash: finish what was being written, and begin again what had not got so far."""
    from cortigraph.cli._bars import bars, opened
    from cortigraph.ingest.revert import resume as go_on

    with bars() as shown, opened(home, shown) as (store, place):
        resumed = go_on(store, place, shown)
    _show_resumed(resumed, as_json)
    # 2 where all that is wrong is what a user gave, as with every command.
    raise typer.Exit(min((each.exit_code for each in resumed.failed if each.exit_code), default=0))


@app.command()
def abandon(
    batch: Annotated[str, typer.Argument(help="The key of a batch that is not finished, its number, or a job's name.")],
    as_json: Json = False,
    home: HomeOption = None,
) -> None:
    """End a batch that can't be finished: what it wrote is taken back, and nothing waits for it any more."""
    from dataclasses import asdict

    from cortigraph.cli._bars import bars, opened
    from cortigraph.ingest.revert import abandon as end

    with bars() as shown, opened(home, shown) as (store, place):
        ended = end(store, place, batch, shown)
    if as_json:
        say_json(asdict(ended))
        return
    said = "as before somebody began to revert it" if ended.state == "done" else "nothing of it stays in the graph"
    typer.echo(f"{ended.batch} is {ended.state}: {said}")


@app.command()
def revert(
    batch: Annotated[str, typer.Argument(help="The key of a batch, or its number; `status` lists them.")],
    as_json: Json = False,
    home: HomeOption = None,
) -> None:
    """Take back what a batch brought, and nothing that another batch also asserts."""
    from cortigraph.cli._bars import bars, opened
    from cortigraph.ingest.revert import revert as take_back

    with bars() as shown, opened(home, shown) as (store, place):
        report = take_back(store, place, batch, shown)
    if as_json:
        say_json(report.to_json())
        return
    _show_counts(report.counts)
    typer.echo(f"reverted {report.batch} in {report.seconds:.1f} s: {_changed(report) or 'nothing was left of it'}")


@app.command()
def status(as_json: JsonArray = False, home: HomeOption = None) -> None:
    """List the batches: whose they are, when they came, and what they brought."""
    from cortigraph.cli._bars import bars, opened
    from cortigraph.graph.plain import plain
    from cortigraph.ingest.revert import batches, interrupted

    with bars() as shown, opened(home, shown, read_only=True) as (store, place):
        found = batches(store)
        begun = interrupted(place)
    if as_json:
        told = [plain({**record.told, **{k: v for k, v in vars(record).items() if k != "told"}}) for record in found]
        told += [{"key": name, "number": None, "job": name, "state": "begun", "reason": ""} for name in begun]
        say_json(told)
        return
    from rich.table import Table

    from cortigraph.cli._screen import Text

    table = Table("", "batch", "state", "at", "nodes", "relationships")
    for record in found:
        counts = [_brought(record.counts, what) for what in ("nodes", "relationships")]
        state = f"{record.state} {record.done}/{record.chunks}" if record.open else record.state
        table.add_row(str(record.number), record.key, state, str(record.told.get("at", ""))[:19], *counts)
    for name in begun:
        table.add_row("", Text(name), "begun", "", "", "")
    Console().print(table)
    for record in found:
        if record.reason:
            typer.echo(f"{record.number} {record.state}: {record.reason}")
    if begun or any(record.open for record in found):
        typer.echo("not everything is finished: if no process is at it, run `cortigraph ingest resume`,")
        typer.echo("or end it with `cortigraph ingest abandon BATCH`")


def _show_resumed(resumed: Resumed, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        told = {
            "finished": resumed.finished,
            "counts": {each.batch: each.counts for each in resumed.ended if each.batch in resumed.finished},
            "run": [report.to_json() for report in resumed.reports],
            "failed": [asdict(each) for each in resumed.failed],
            "lost": resumed.lost,
        }
        say_json(told)
        return
    for each in resumed.ended:
        if each.batch in resumed.finished:
            typer.echo(f"finished {each.batch}, now {each.state}: {_told(each.counts)}")
    for report in resumed.reports:
        _show_report(report)
    for each in resumed.failed:
        typer.echo(f"{each.batch} is {each.state}: {each.reason}", err=True)
        if each.state not in ("done", "failed", "abandoned"):
            typer.echo(f"`cortigraph ingest abandon {each.batch}` ends it", err=True)
    for name in resumed.lost:
        typer.echo(f"{name} was run from Python, and can only be run again from there")
    if not (resumed.finished or resumed.reports or resumed.failed or resumed.lost):
        typer.echo("nothing was interrupted")


def _brought(counts: Mapping[str, int], what: str) -> str:
    return " ".join(f"{mark}{counts[f'{what}_{action}']}" for mark, action in _MARKS if counts.get(f"{what}_{action}"))


def _told(counts: Mapping[str, int]) -> str:
    told = [f"{what} {brought}" for what in ("nodes", "relationships") if (brought := _brought(counts, what))]
    return ", ".join(told) or "nothing was left to do"


_MARKS = (("+", "created"), ("~", "updated"), ("-", "deleted"))


def _show_report(report: Report) -> None:
    _show_counts(report.counts)
    if report.batch is None:
        typer.echo(f"nothing to do: the graph holds all of it ({report.seconds:.1f} s)")
    else:
        typer.echo(f"batch {report.batch} in {report.seconds:.1f} s: {_changed(report)}")
    _show_folded(report.folded)
    if report.rejected:
        typer.echo(f"{report.rejected} rows were left out; mend them in {', '.join(report.rejects)},")
        typer.echo("then run the job with --mended and that folder")


def _show_folded(folded: Mapping[str, int]) -> None:
    for kind, rows in folded.items():
        typer.echo(f"{rows} {'row' if rows == 1 else 'rows'} of {kind} only said again what others say")


def _changed(report: Report) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in report.counters.items())


def _show_counts(counts: Mapping[str, Mapping[str, int]]) -> None:
    from rich.table import Table

    actions = ("created", "updated", "deleted", "unchanged")
    table = Table("", *actions)
    for kind, count in counts.items():
        table.add_row(Text(kind), *(str(count[action]) for action in actions))
    Console().print(table)


def _show_plan(found: Plan) -> None:
    from rich.table import Table

    schema = Table("", "rows", "properties", "types")
    for shape in found.schema:
        types = ", ".join(f"{name} {count}" for name, count in list(shape.types.items())[:6])
        more = len(shape.types) - 6 + shape.more
        properties = ", ".join(f"{name} {kind}" for name, kind in shape.properties.items())
        schema.add_row(
            shape.kind, str(shape.rows), Text(properties), Text(types + (f" … {more} more" if more > 0 else ""))
        )
    Console().print(schema)
    _show_counts(found.counts)
    _show_folded(found.folded)
    if found.rejected:
        typer.echo(f"{found.rejected} rows are wrong and would be left out")
    if found.empty:
        typer.echo("nothing to do: the graph holds all of it")
        return
    for action, keys in found.keys.items():
        for key in keys:
            typer.echo(f"{action} {key}")
    way = "through Neo4j's import tool, instead of" if found.imported else "by"
    typer.echo(f"\nabout {max(1, round(found.seconds))} s, {way}:")
    for text in found.cypher:
        typer.echo(f"\n{text};")

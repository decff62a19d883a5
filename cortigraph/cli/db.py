"""`cortigraph db`: the store's server, started, stopped, looked at and talked to."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortigraph.cli._bars import bars
from cortigraph.cli._options import HomeOption, Json, JsonArray, Timeout
from cortigraph.cli._screen import say_json

if TYPE_CHECKING:
    from cortigraph.graph.keep import Kept

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Start, stop, inspect, back up and query the store.")


@app.command()
def start(
    home: HomeOption = None,
    mend: Annotated[
        bool,
        typer.Option("--mend", help="Cut off a last transaction that a full disk has torn; keeps a copy of the log."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Start the embedded server; on first use its jars are fetched (160 MB)."""
    from cortigraph.graph import server
    from cortigraph.graph.home import Home

    with bars() as shown:
        address = server.start(Home.resolve(home), shown.counted, mend=mend)
    if as_json:
        say_json({"uri": address.uri, "user": address.user})
        return
    typer.echo(f"Neo4j answers at {address.uri} as {address.user}; it stops by itself when nobody needs it")


@app.command()
def prepare(as_json: Json = False) -> None:
    """Link Java's classes ahead, so that starts take half the time: once, about 40 s, 190 MB in the cache."""
    from cortigraph.graph import aot, jars
    from cortigraph.graph.errors import SetupError

    with bars() as shown:
        jars.fetch(progress=shown.counted)
        folder = jars.folder()
        made = aot.prepare(folder, shown.counted)
    if not made:
        raise SetupError(f"Java's classes could not be kept in {folder}; is the disk full? Everything works without")
    file = aot.cache_file(folder)
    if as_json:
        say_json({"file": file})
        return
    typer.echo(f"later starts are quick: {file}")


@app.command()
def stop(home: HomeOption = None, as_json: Json = False) -> None:
    """Stop the embedded server cleanly."""
    from cortigraph.graph import server
    from cortigraph.graph.home import Home

    stopped = server.stop(Home.resolve(home))
    if as_json:
        say_json({"stopped": stopped})
        return
    typer.echo("stopped" if stopped else "it was not running")


@app.command()
def status(home: HomeOption = None, as_json: Json = False) -> None:
    """Say whether the embedded server runs, and where. Starts nothing."""
    from cortigraph.graph import server
    from cortigraph.graph.home import Home

    place = Home.resolve(home)
    found = server.status(place)
    if as_json:
        facts = {"running": found.running, "pid": found.pid, "uri": found.uri, "version": found.version}
        say_json(facts | {"stored_bytes": found.stored_bytes, "home": str(place.root)})
        return
    state = f"running at {found.uri} (process {found.pid})" if found.running else "not running"
    typer.echo(f"Neo4j {found.version}: {state}; {found.stored_bytes / 2**20:.1f} MB stored in {place.root}")
    if found.running:
        typer.echo(f"for other clients: user neo4j, password in {place.root / 'database' / 'password'}")


@app.command()
def check(
    deep: Annotated[bool, typer.Option("--deep", help="Read every file that has a checksum, too.")] = False,
    home: HomeOption = None,
    as_json: JsonArray = False,
) -> None:
    """Look for what dangles or contradicts; exit code 1 if anything is found."""
    from dataclasses import asdict

    from cortigraph.graph.check import check as look
    from cortigraph.graph.check import damaged
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import open_store
    from cortigraph.regions.weights import WeightStore

    place = Home.resolve(home)
    with open_store(place if home else None, read_only=True) as store:
        problems = look(store, WeightStore(place.weights).has)
    problems += damaged(place) if deep else []
    if as_json:
        say_json([asdict(problem) for problem in problems])
    else:
        for problem in problems:
            typer.echo(str(problem))
        typer.echo(f"{len(problems)} problems" if problems else "nothing is wrong")
    raise typer.Exit(1 if problems else 0)


@app.command()
def mend(home: HomeOption = None, as_json: Json = False) -> None:
    """Rename what data has called as only the store's own is called: labels such as `Batch`, facts `PREDICTED`."""
    from cortigraph.graph.check import mend as rename
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import open_store

    place = Home.resolve(home)
    with open_store(place if home else None) as store:
        told = rename(store)
    if as_json:
        renamed = [{"key": key, "was": was, "is": now} for key, was, now in told]
        say_json({"renamed": renamed})
        return
    for (was, now), count in Counter((was, now) for _, was, now in told).items():
        typer.echo(f"{was} is {now} now, {count} times")
    typer.echo("write the new names in the jobs that brought them" if told else "nothing has to be mended")


@app.command()
def shell(
    home: HomeOption = None,
    write: Annotated[bool, typer.Option("--write", help="Allow queries to change the store from the start.")] = False,
    timeout: Timeout = None,
) -> None:
    """Talk Cypher with the store; :help says how."""
    from cortigraph.cli._shell import Shell
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import open_store

    place = Home.resolve(home)
    person = sys.stdin.isatty()
    with open_store(place if home else None) as store:
        shell = Shell(
            store,
            writing=write,
            history=place.cache / "history" if person else None,
            timeout=timeout,
            ask=input if person else lambda prompt: input(),
        )
        shell.run()
    if shell.failed and not person:  # a script wants to know
        raise typer.Exit(1)


@app.command()
def backup(
    path: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Keep the store, the weights and the batches, each file with its checksum. The server pauses for seconds."""
    from cortigraph.graph.home import Home
    from cortigraph.graph.keep import backup as keep

    _refuse_remote(home)
    with bars() as shown:
        kept = keep(Home.resolve(home), path, shown.counted)
    _show_kept("kept", kept, as_json)


@app.command()
def restore(
    path: Annotated[Path, typer.Argument(help="The folder of a backup.")],
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Bring a backup back into an empty home; every checksum, and the graph that comes back, are compared."""
    from cortigraph.graph.home import Home
    from cortigraph.graph.keep import restore as bring_back

    _refuse_remote(home)
    with bars() as shown:
        kept = bring_back(path, Home.resolve(home), shown.counted)
    _show_kept("restored", kept, as_json)


def _refuse_remote(home: str | None) -> None:
    from cortigraph.graph.errors import InputError

    if home is None and os.environ.get("CORTIGRAPH_URI"):
        raise InputError("CORTIGRAPH_URI names a remote server: back it up with its own tools, or give --home")


def _show_kept(what: str, kept: Kept, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        say_json({**asdict(kept), "path": str(kept.path)})
        return
    content = kept.content
    typer.echo(
        f"{what}: {content.nodes} nodes, {content.relationships} relationships, {kept.files} files of "
        f"{kept.size / 2**20:.1f} MB in {kept.path}"
        + (f"; the server paused for {kept.pause:.1f} s" if kept.pause else "")
    )

"""`cortigraph reason`: reasoners trained on the store or on triples, listed, refreshed, judged, asked for scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortigraph.cli._bars import bars, opened
from cortigraph.cli._cluster import Engine, Hosts, Least, Most, Workers, cluster_of
from cortigraph.cli._options import HomeOption, Json, JsonArray, since_start
from cortigraph.cli._pairs import split_pairs
from cortigraph.cli._reasoners import Choices, announce, load, say, show, size
from cortigraph.cli._screen import Console, say_json
from cortigraph.cli._triples import evaluate, rank, score, train_on_triples
from cortigraph.graph.errors import InputError

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.reasoning.asking.shelf import Shelved

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Reasoners over the store's graph, or over triples.")
for command in (evaluate, rank, score):
    app.command()(command)


@app.command()
def train(
    triples: Annotated[
        list[Path] | None,
        typer.Option(
            "--triples",
            help="Learn from a folder with train, valid and test .txt, perhaps .gz; a foundation learns from several.",
        ),
    ] = None,
    graph: Annotated[
        str | None,
        typer.Option("--graph", help="Learn from the store: `all`, or `labels=Entity types=treats,causes`."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The file to write, such as umls.safetensors.")] = None,
    reasoner: Annotated[
        str, typer.Option("--reasoner", help="path, foundation, complex, rotate, transe, ensemble.")
    ] = "path",
    start: Annotated[str | None, typer.Option("--start", help="A reasoner of that kind to go on from.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="What the graph shall call it; else its kind.")] = None,
    choice: Choices = None,
    workers: Workers = None,
    engine: Engine = None,
    hosts: Hosts = None,
    min_workers: Least = None,
    max_workers: Most = None,
    as_json: Json = False,
    home: HomeOption = None,
) -> None:
    """Train a reasoner, on the store's graph or on a folder of triples; a training that was killed goes on."""
    choices = split_pairs("--set", choice or [])
    cluster = cluster_of(workers, engine, hosts, min_workers, max_workers)
    if (not triples) == (graph is None):
        raise InputError("give either --graph, to learn from the store, or --triples, to learn from files")
    if triples:
        if out is None or name is not None:
            raise InputError("with --triples, the reasoner is a file: give --out, and no --name")
        begun = None if start is None else load(start, home)
        train_on_triples(triples, out, reasoner, choices, begun, as_json, cluster)
        return
    if start is not None:
        raise InputError("--start goes with --triples; `reason refresh` trains a reasoner of the graph further")
    from cortigraph.reasoning.asking.learn import learn
    from cortigraph.reasoning.asking.selection import Selection

    selection = Selection.parse(graph or "all")
    with bars() as shown, opened(home, shown) as (store, place):
        kept = learn(
            store, place, reasoner, name=name, selection=selection, choices=choices,
            begun=lambda facts, valid: announce(reasoner, facts, valid, choices), progress=show,
            cluster=cluster, shown=shown, waited=since_start(),
        )  # fmt: skip
        _kept(kept, place, out, as_json)


@app.command()
def refresh(
    which: Annotated[str, typer.Argument(help="Name or key of a reasoner in the graph.")],
    out: Annotated[Path | None, typer.Option("--out", help="A file to write it to, too.")] = None,
    choice: Choices = None,
    as_json: Json = False,
    home: HomeOption = None,
) -> None:
    """Train a reasoner further, from where it was, on the graph as it is now."""
    from cortigraph.reasoning.asking import learn

    choices = split_pairs("--set", choice or [])
    with bars() as shown, opened(home, shown) as (store, place):
        kept = learn.refresh(
            store, place, which, choices=choices, begun=size, progress=show, shown=shown, waited=since_start()
        )
        _kept(kept, place, out, as_json)


@app.command()
def materialise(
    reasoner: Annotated[str | None, typer.Option(help="Its name; else the one trained last.")] = None,
    relation: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Answers for each question.")] = 3,
    least: Annotated[float, typer.Option(min=0, max=1, help="Probability below which nothing is written.")] = 0.5,
    every: Annotated[bool, typer.Option("--every", help="Ask for all, likely to lack an answer or not.")] = False,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Time for all of it; fewer are asked where there is none for all.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Only take away what was predicted.")] = False,
    as_json: Json = False,
    home: HomeOption = None,
) -> None:
    """Write what is likely missing as PREDICTED relationships, instead of what was predicted before."""
    from dataclasses import asdict

    from cortigraph.reasoning.asking import predicted
    from cortigraph.reasoning.asking.mind import Mind
    from cortigraph.train.clock import Clock

    with bars() as shown, opened(home, shown) as (store, place):
        mind = Mind(store, place)
        if clear:
            name = mind.thought(reasoner).name
            say({"reasoner": name, "cleared": predicted.clear(store, name)}, as_json)
            return
        made = predicted.materialise(
            mind,
            reasoner=reasoner,
            relations=relation,
            top=top,
            least=least,
            every=every,
            progress=shown,
            clock=Clock.begun(seconds, since_start()),
        )
    told = asdict(made)
    by_relation = told.pop("relations")
    say(told | ({"relations": by_relation} if as_json else {}), as_json)
    if not as_json and by_relation:
        from rich.table import Table

        table = Table(*(name.replace("_", " ") for name in by_relation[0]))
        for row in by_relation:
            table.add_row(*("" if value is None else str(value) for value in row.values()))
        Console().print(table)
        typer.echo("precision: share of what is written that is true, by facts held out from training", err=True)


@app.command("list")
def list_(as_json: JsonArray = False, home: HomeOption = None) -> None:
    """The reasoners that the graph knows; `ask` takes the first of them."""
    from cortigraph.reasoning.asking.shelf import shelved

    with bars() as shown, opened(home, shown, read_only=True) as (store, _):
        found = shelved(store)
    if as_json:
        say_json([each.to_json() for each in found])
        return
    if not found:
        typer.echo("none yet; `cortigraph reason train --graph all` trains one")
        return
    from rich.table import Table

    table = Table("name", "kind", "graph", "facts", "validation MRR", "trained at", "hash")
    for each in found:
        told = [str(each.told.get(name, "")) for name in ("facts", "valid_mrr", "trained_at")]
        table.add_row(each.id, each.reasoner, each.graph, *told, each.weights[:15])
    Console().print(table)


def _kept(kept: Shelved, home: Home, out: Path | None, as_json: bool) -> None:
    """Says what was kept; writes it to a file, too, where one is wanted."""
    from cortigraph.reasoning.asking import shelf
    from cortigraph.regions.weights import write_whole

    if out is not None:
        write_whole(out, shelf.file_of(home, kept.weights).read_bytes())
    told = kept.to_json()
    told.pop("graph_version", None)
    say(told | ({"file": str(out)} if out is not None else {}), as_json)

"""`cortigraph reason`: reasoners trained on the store or on triples, listed, refreshed, judged, asked for scores."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortigraph.cli._bars import bars, opened
from cortigraph.cli._cluster import Engine, Hosts, Least, Most, Workers, cluster_of
from cortigraph.cli._pairs import split_pairs
from cortigraph.graph.errors import InputError

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.reasoning.asking.shelf import Shelved
    from cortigraph.reasoning.reasoners.artefact import Artefact
    from cortigraph.reasoning.reasoners.facts import Facts
    from cortigraph.reasoning.reasoners.structure import Rows
    from cortigraph.reasoning.reasoners.train import Told
    from cortigraph.train.cluster import Cluster

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Reasoners over the store's graph, or over triples.")

_Triples = Annotated[Path, typer.Option("--triples", help="A folder with train, valid and test .txt, perhaps .gz.")]
_Graph = Annotated[Path | None, typer.Option("--graph", help="Facts that may be known; else train.txt of the folder.")]
_Saved = Annotated[str, typer.Argument(help="A file that `train` made, or a reasoner's name, key or hash.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
_Home = Annotated[str | None, typer.Option("--home", help="The home folder; else CORTIGRAPH_HOME.")]
_Choices = Annotated[
    list[str] | None, typer.Option("--set", help="A setting, such as seconds=60 or seed=1; may be repeated.")
]


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
    choice: _Choices = None,
    workers: Workers = None,
    engine: Engine = None,
    hosts: Hosts = None,
    min_workers: Least = None,
    max_workers: Most = None,
    as_json: _Json = False,
    home: _Home = None,
) -> None:
    """Train a reasoner, on the store's graph or on a folder of triples; a training that was killed goes on."""
    choices = split_pairs("--set", choice or [])
    cluster = cluster_of(workers, engine, hosts, min_workers, max_workers)
    if (not triples) == (graph is None):
        raise InputError("give either --graph, to learn from the store, or --triples, to learn from files")
    if triples:
        if out is None or name is not None:
            raise InputError("with --triples, the reasoner is a file: give --out, and no --name")
        begun = None if start is None else _load(start, home)
        _train_on_triples(triples, out, reasoner, choices, begun, as_json, cluster)
        return
    if start is not None:
        raise InputError("--start goes with --triples; `reason refresh` trains a reasoner of the graph further")
    from cortigraph.reasoning.asking.learn import learn
    from cortigraph.reasoning.asking.selection import Selection

    selection = Selection.parse(graph or "all")
    with bars() as shown, opened(home, shown) as (store, place):
        kept = learn(
            store, place, reasoner, name=name, selection=selection, choices=choices,
            begun=lambda facts, valid: _begin(reasoner, facts, valid, choices), progress=_show,
            cluster=cluster,
        )  # fmt: skip
        _kept(kept, place, out, as_json)


@app.command()
def refresh(
    which: Annotated[str, typer.Argument(help="Name or key of a reasoner in the graph.")],
    out: Annotated[Path | None, typer.Option("--out", help="A file to write it to, too.")] = None,
    choice: _Choices = None,
    as_json: _Json = False,
    home: _Home = None,
) -> None:
    """Train a reasoner further, from where it was, on the graph as it is now."""
    from cortigraph.reasoning.asking import learn

    choices = split_pairs("--set", choice or [])
    with bars() as shown, opened(home, shown) as (store, place):
        kept = learn.refresh(store, place, which, choices=choices, begun=_size, progress=_show)
        _kept(kept, place, out, as_json)


@app.command()
def materialise(
    reasoner: Annotated[str | None, typer.Option(help="Its name; else the one trained last.")] = None,
    relation: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Answers for each question.")] = 3,
    least: Annotated[float, typer.Option(min=0, max=1, help="Probability below which nothing is written.")] = 0.5,
    every: Annotated[bool, typer.Option("--every", help="Also for entities without a fact of the relation.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Only take away what was predicted.")] = False,
    as_json: _Json = False,
    home: _Home = None,
) -> None:
    """Write what a reasoner predicts as PREDICTED relationships, instead of what it predicted before."""
    from dataclasses import asdict

    from cortigraph.reasoning.asking import predicted
    from cortigraph.reasoning.asking.mind import Mind

    with bars() as shown, opened(home, shown) as (store, place):
        mind = Mind(store, place)
        if clear:
            name = mind.thought(reasoner).name
            _say({"reasoner": name, "cleared": predicted.clear(store, name)}, as_json)
            return
        made = predicted.materialise(
            mind, reasoner=reasoner, relations=relation, top=top, least=least, every=every, progress=shown
        )
    _say(asdict(made), as_json)


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False, home: _Home = None) -> None:
    """The reasoners that the graph knows; `ask` takes the first of them."""
    from cortigraph.reasoning.asking.shelf import shelved

    with bars() as shown, opened(home, shown, read_only=True) as (store, _):
        found = shelved(store)
    if as_json:
        typer.echo(json.dumps([each.to_json() for each in found], ensure_ascii=False))
        return
    if not found:
        typer.echo("none yet; `cortigraph reason train --graph all` trains one")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "kind", "graph", "facts", "validation MRR", "trained at", "hash")
    for each in found:
        told = [str(each.told.get(name, "")) for name in ("facts", "valid_mrr", "trained_at")]
        table.add_row(each.id, each.reasoner, each.graph, *told, each.weights[:15])
    Console().print(table)


@app.command()
def evaluate(
    saved: _Saved, triples: _Triples, graph: _Graph = None, as_json: _Json = False, home: _Home = None
) -> None:
    """Rank the facts of test.txt: filtered, both directions, ties against the reasoner."""
    import numpy as np

    from cortigraph.reasoning.reasoners.evaluate import Known, evaluate
    from cortigraph.reasoning.reasoners.triples import read_splits

    loaded = _load(saved, home)
    splits = read_splits(triples, graph=graph)
    if not len(splits.test):
        raise InputError(f"{triples} has no test.txt, or nothing in it: there is nothing to rank")
    true = [splits.facts.triples, splits.train, splits.valid, splits.test]
    known = Known(np.concatenate(true), len(splits.facts.relations))
    metrics = evaluate(loaded.reasoner, splits.facts, splits.test, known)
    _say({**metrics.to_json(), "facts": len(splits.test), "reasoner": loaded.reasoner.name}, as_json)


@app.command()
def score(
    saved: _Saved,
    graph: Annotated[Path, typer.Option("--graph", help="Facts that may be known: head⇥relation⇥tail.")],
    queries: Annotated[Path, typer.Option("--queries", help="Lines head⇥relation; `inverse of R` asks for heads.")],
    out: Annotated[Path, typer.Option("--out", help="The .npz file to write.")],
    as_json: _Json = False,
    home: _Home = None,
) -> None:
    """Write the scores of all entities for each query, for an evaluation elsewhere."""
    import numpy as np

    from cortigraph.reasoning.reasoners.facts import Facts
    from cortigraph.reasoning.reasoners.triples import read_queries, read_triples

    loaded = _load(saved, home)
    facts = Facts.of(read_triples(graph))
    asked, names = read_queries(queries, facts)
    batch = loaded.reasoner.batch
    parts = [loaded.reasoner.score(facts, asked[start : start + batch]) for start in range(0, len(asked), batch)]
    scores = np.concatenate(parts) if parts else np.zeros((0, len(facts.entities)), np.float32)
    np.savez(out, entities=np.array(list(facts.entities), dtype=str), queries=np.array(names, dtype=str), scores=scores)
    _say({"file": str(out), "queries": len(asked), "entities": len(facts.entities)}, as_json)


def _train_on_triples(
    triples: list[Path],
    out: Path,
    reasoner: str,
    choices: dict[str, str],
    start: Artefact | None,
    as_json: bool,
    cluster: Cluster,
) -> None:
    from cortigraph.reasoning.reasoners import artefact
    from cortigraph.reasoning.reasoners.calibration import calibrate
    from cortigraph.reasoning.reasoners.checkpoint import Checkpoint, training_name
    from cortigraph.reasoning.reasoners.train import checked_settings
    from cortigraph.reasoning.reasoners.train import train as train_by_name
    from cortigraph.reasoning.reasoners.triples import read_splits

    settings = checked_settings(reasoner, choices).model_dump()
    splits, *others = [read_splits(folder) for folder in triples]
    also = [(other.facts, other.valid) for other in others]
    _begin(reasoner, splits.facts, splits.valid, choices, also)
    begun = "" if start is None else hashlib.sha256(artefact.content(start.reasoner)).hexdigest()
    training = training_name(reasoner, settings, [(splits.facts, splits.valid), *also], begun)
    checkpoint = Checkpoint(out.with_name(f"{out.name}.part"), training)
    began = time.monotonic()
    trained = train_by_name(
        reasoner, splits.facts, splits.valid, settings, _show,
        start=start.reasoner if start else None, checkpoint=checkpoint, also=also, cluster=cluster,
    )  # fmt: skip
    facts = splits.facts
    size = {"entities": len(facts.entities), "relations": len(facts.relations), "facts": len(facts)}
    about = {
        "triples": ",".join(folder.name for folder in triples),
        **size,
        "seconds": round(time.monotonic() - began, 2),
        "settings": settings,
    }
    calibration = calibrate(trained, facts, splits.valid)
    artefact.save(trained, out, {**about, "calibration": calibration.to_json()})
    checkpoint.done()
    about.pop("settings")
    _say({"reasoner": reasoner, "file": str(out), **about}, as_json)


def _load(which: str, home: str | None) -> Artefact:
    """A file or a hash needs no store; a name does."""
    from cortigraph.graph.home import Home
    from cortigraph.reasoning.asking import shelf
    from cortigraph.reasoning.reasoners import artefact

    if Path(which).is_file() or which.startswith("sha256:"):
        return artefact.load(shelf.file_of(Home.resolve(home), which))
    with bars() as shown, opened(home, shown, read_only=True) as (store, place):
        return artefact.load(shelf.file_of(place, which, shelf.shelved(store)))


def _kept(kept: Shelved, home: Home, out: Path | None, as_json: bool) -> None:
    """Says what was kept; writes it to a file, too, where one is wanted."""
    from cortigraph.reasoning.asking import shelf
    from cortigraph.regions.weights import write_whole

    if out is not None:
        write_whole(out, shelf.file_of(home, kept.weights).read_bytes())
    told = kept.to_json()
    told.pop("graph_version", None)
    _say(told | ({"file": str(out)} if out is not None else {}), as_json)


def _size(facts: Facts, valid: Rows) -> None:
    size = {"entities": len(facts.entities), "relations": len(facts.relations), "facts": len(facts)}
    told = ", ".join(f"{count:,} {what}" for what, count in size.items())
    typer.echo(f"{told}, {len(valid):,} more held out", err=True)


def _begin(
    reasoner: str, facts: Facts, valid: Rows, choices: dict[str, str], also: Sequence[tuple[Facts, Rows]] = ()
) -> None:
    """Says what is learned from, and what it will take."""
    from cortigraph.reasoning.reasoners.estimate import estimate

    for graph in ((facts, valid), *also):
        _size(*graph)
    typer.echo(str(estimate(reasoner, facts, valid, choices, also)), err=True)


def _show(told: Told) -> None:
    better = f"  validation MRR {told.mrr:.4f}" if told.mrr is not None else ""
    typer.echo(f"{told.seconds:6.0f} s  loss {told.loss:.4f}{better}", err=True)


def _say(values: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(values, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("", "")
    for name, value in values.items():
        table.add_row(name, f"{value:.4f}" if isinstance(value, float) else str(value))
    Console().print(table)

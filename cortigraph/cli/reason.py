"""`cortigraph reason`: reasoners trained on triples, judged on held-out ones, and asked for all their scores."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortigraph.cli._pairs import split_pairs
from cortigraph.graph.errors import InputError

if TYPE_CHECKING:
    from cortigraph.reasoning.reasoners.train import Told

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Reasoners over triples.")

_Triples = Annotated[Path, typer.Option("--triples", help="A folder with train, valid and test .txt, perhaps .gz.")]
_Graph = Annotated[Path | None, typer.Option("--graph", help="Facts that may be known; else train.txt of the folder.")]
_Saved = Annotated[Path, typer.Argument(help="The file that `train` made.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@app.command()
def train(
    triples: _Triples,
    out: Annotated[Path, typer.Option("--out", help="The file to write, such as umls.safetensors.")],
    reasoner: Annotated[str, typer.Option("--reasoner", help="path, complex, rotate or transe.")] = "path",
    choice: Annotated[
        list[str] | None, typer.Option("--set", help="A setting, such as seconds=60 or seed=1; may be repeated.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Train a reasoner and save it in one file."""
    from cortigraph.reasoning.reasoners import artefact
    from cortigraph.reasoning.reasoners.train import train as train_by_name
    from cortigraph.reasoning.reasoners.triples import read_splits

    choices = split_pairs("--set", choice or [])
    splits = read_splits(triples)
    facts = splits.facts
    size = {"entities": len(facts.entities), "relations": len(facts.relations), "facts": len(facts)}
    typer.echo(", ".join(f"{count:,} {what}" for what, count in size.items()), err=True)
    began = time.monotonic()
    trained = train_by_name(reasoner, facts, splits.valid, choices, _show)
    about = {"triples": triples.name, **size, "seconds": round(time.monotonic() - began, 2)}
    artefact.save(trained, out, about)
    _say({"reasoner": reasoner, "file": str(out), **about}, as_json)


@app.command()
def evaluate(saved: _Saved, triples: _Triples, graph: _Graph = None, as_json: _Json = False) -> None:
    """Rank the facts of test.txt: filtered, both directions, ties against the reasoner."""
    import numpy as np

    from cortigraph.reasoning.reasoners import artefact
    from cortigraph.reasoning.reasoners.evaluate import Known, evaluate
    from cortigraph.reasoning.reasoners.triples import read_splits

    loaded = artefact.load(saved)
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
) -> None:
    """Write the scores of all entities for each query, for an evaluation elsewhere."""
    import numpy as np

    from cortigraph.reasoning.reasoners import artefact
    from cortigraph.reasoning.reasoners.facts import Facts
    from cortigraph.reasoning.reasoners.triples import read_queries, read_triples

    loaded = artefact.load(saved)
    facts = Facts.of(read_triples(graph))
    asked, names = read_queries(queries, facts)
    batch = loaded.reasoner.batch
    parts = [loaded.reasoner.score(facts, asked[start : start + batch]) for start in range(0, len(asked), batch)]
    scores = np.concatenate(parts) if parts else np.zeros((0, len(facts.entities)), np.float32)
    np.savez(out, entities=np.array(list(facts.entities), dtype=str), queries=np.array(names, dtype=str), scores=scores)
    _say({"file": str(out), "queries": len(asked), "entities": len(facts.entities)}, as_json)


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

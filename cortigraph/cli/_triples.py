"""The commands of `cortigraph reason` that work on files of triples and need no store."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortigraph.cli._bars import bars
from cortigraph.cli._options import HomeOption, Json, since_start
from cortigraph.cli._reasoners import (
    Graph,
    Only,
    Saved,
    Triples,
    announce,
    counts,
    known_only,
    load,
    say,
    show,
)
from cortigraph.cli._screen import Console, Text, say_json
from cortigraph.graph.errors import InputError

if TYPE_CHECKING:
    from cortigraph.reasoning.reasoners.artefact import Artefact
    from cortigraph.train.cluster import Cluster

__all__ = ["evaluate", "rank", "score", "train_on_triples"]


def train_on_triples(
    triples: list[Path],
    out: Path,
    reasoner: str,
    choices: dict[str, str],
    start: Artefact | None,
    as_json: bool,
    cluster: Cluster,
) -> None:
    """`reason train` on folders of triples: the reasoner becomes a file."""
    from cortigraph.reasoning.reasoners import artefact
    from cortigraph.reasoning.reasoners.calibration import calibrate
    from cortigraph.reasoning.reasoners.checkpoint import Checkpoint, training_name
    from cortigraph.reasoning.reasoners.pace import VALIDATION
    from cortigraph.reasoning.reasoners.train import checked_settings
    from cortigraph.reasoning.reasoners.train import train as train_by_name
    from cortigraph.reasoning.reasoners.triples import read_splits
    from cortigraph.train.clock import Clock

    settings = checked_settings(reasoner, choices).model_dump()
    clock = Clock.begun(settings["seconds"], since_start())
    splits, *others = [read_splits(folder) for folder in triples]
    also = [(other.facts, other.valid) for other in others]
    announce(reasoner, splits.facts, splits.valid, choices, also)
    begun = "" if start is None else hashlib.sha256(artefact.content(start.reasoner)).hexdigest()
    training = training_name(reasoner, settings, [(splits.facts, splits.valid), *also], begun)
    checkpoint = Checkpoint(out.with_name(f"{out.name}.part"), training)
    facts = splits.facts
    with bars() as shown:
        trained = train_by_name(
            reasoner, facts, splits.valid, settings, show,
            start=start.reasoner if start else None, checkpoint=checkpoint, also=also, cluster=cluster,
            shown=shown, clock=clock,
        )  # fmt: skip
        calibration = calibrate(trained, facts, splits.valid, seconds=clock.part(VALIDATION), shown=shown)
    about = {
        "triples": ",".join(folder.name for folder in triples),
        **counts(facts),
        "seconds": round(clock.elapsed, 2),
        "settings": settings,
    }
    artefact.save(trained, out, {**about, "calibration": calibration.to_json()})
    checkpoint.done()
    about.pop("settings")
    say({"reasoner": reasoner, "file": str(out), **about}, as_json)


def evaluate(
    saved: Saved, triples: Triples, graph: Graph = None, as_json: Json = False, home: HomeOption = None
) -> None:
    """Rank the facts of test.txt: filtered, both directions, ties against the reasoner."""
    import numpy as np

    from cortigraph.reasoning.reasoners.evaluate import Known, evaluate
    from cortigraph.reasoning.reasoners.triples import read_splits

    loaded = load(saved, home)
    splits = read_splits(triples, graph=graph)
    if not len(splits.test):
        raise InputError(f"{triples} has no test.txt, or nothing in it: there is nothing to rank")
    true = [splits.facts.triples, splits.train, splits.valid, splits.test]
    known = Known(np.concatenate(true), len(splits.facts.relations))
    with loaded.reasoner.on_device():
        metrics = evaluate(loaded.reasoner, splits.facts, splits.test, known)
    say({**metrics.to_json(), "facts": len(splits.test), "reasoner": loaded.reasoner.name}, as_json)


def rank(
    saved: Saved,
    head: Annotated[str, typer.Argument(help="The key of an entity.")],
    relation: Annotated[str, typer.Argument(help="A relation; `inverse of R` asks for heads.")],
    graph: Annotated[Path, typer.Option("--graph", help="Facts that may be known: head⇥relation⇥tail.")],
    top: Annotated[int, typer.Option(min=1, help="How many answers.")] = 10,
    only: Only = None,
    as_json: Json = False,
    home: HomeOption = None,
) -> None:
    """Rank all entities as answers of a question over triples; `ask` asks the store, and says why."""
    from dataclasses import asdict

    import numpy as np

    from cortigraph.reasoning.reasoners.calibration import Calibration
    from cortigraph.reasoning.reasoners.facts import Facts
    from cortigraph.reasoning.reasoners.rank import rank as ranked
    from cortigraph.reasoning.reasoners.triples import read_triples

    known = known_only(only)
    loaded = load(saved, home)
    facts = Facts.of(read_triples(graph))
    query = np.array([[int(facts.entities.row(head)), facts.relation(relation)]], dtype=np.int64)
    calibration = Calibration.from_json(loaded.about.get("calibration"))
    (answers,) = ranked(loaded.reasoner, facts, query, top=top, known=known, calibration=calibration)
    if as_json:
        told = {"head": head, "relation": relation, "reasoner": loaded.reasoner.name}
        say_json({**told, "answers": [asdict(each) for each in answers]})
        return
    from rich.table import Table

    table = Table("answer", "", "probability", "score")
    for each in answers:
        numbers = (f"{each.probability:.3f}", f"{each.score:.2f}")
        table.add_row(Text(each.entity), "known" if each.known else "predicted", *numbers)
    Console().print(table)


def score(
    saved: Saved,
    graph: Annotated[Path, typer.Option("--graph", help="Facts that may be known: head⇥relation⇥tail.")],
    queries: Annotated[Path, typer.Option("--queries", help="Lines head⇥relation; `inverse of R` asks for heads.")],
    out: Annotated[Path, typer.Option("--out", help="The .npz file to write.")],
    as_json: Json = False,
    home: HomeOption = None,
) -> None:
    """Write the scores of all entities for each query, for an evaluation elsewhere."""
    import numpy as np

    from cortigraph.reasoning.reasoners.facts import Facts
    from cortigraph.reasoning.reasoners.triples import read_queries, read_triples

    loaded = load(saved, home)
    facts = Facts.of(read_triples(graph))
    asked, names = read_queries(queries, facts)
    batch = loaded.reasoner.batch
    with loaded.reasoner.on_device():
        parts = [loaded.reasoner.score(facts, asked[start : start + batch]) for start in range(0, len(asked), batch)]
    scores = np.concatenate(parts) if parts else np.zeros((0, len(facts.entities)), np.float32)
    np.savez(out, entities=np.array(list(facts.entities), dtype=str), queries=np.array(names, dtype=str), scores=scores)
    say({"file": str(out), "queries": len(asked), "entities": len(facts.entities)}, as_json)

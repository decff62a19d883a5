"""Whether explanations are faithful: does the answer's score fall when the facts of its top path are gone?

    python benchmarks/explanations.py [--seeds 0] [--queries 200] [--saved umls.safetensors]

A path reasoner is trained on UMLS, and test queries are drawn in both directions. For each, the facts of the
weightiest path to the right answer are taken away, and, instead, as many drawn ones: of those that touch the head or
the answer (`near`, the hardest: some of these carry the answer, too), of those that the reasoner read (`read`: their
gradient is not zero), or of all (`anywhere`). `faithful` is the share of queries in which the path's facts cost more
score than those drawn of what was read. The last line is JSON.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np
from _stage import data_folder, last_line, tell

from cortigraph.reasoning.reasoners import artefact
from cortigraph.reasoning.reasoners.facts import Facts, inverse
from cortigraph.reasoning.reasoners.path.beam import best_paths
from cortigraph.reasoning.reasoners.path.gradients import EdgeGradients
from cortigraph.reasoning.reasoners.path.reasoner import PathReasoner
from cortigraph.reasoning.reasoners.path.settings import PathSettings
from cortigraph.reasoning.reasoners.path.training import Progress, train_path
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.reasoning.reasoners.triples import Splits, read_splits

DRAWS = ("near", "read", "anywhere")


def drops(reasoner: PathReasoner, facts: Facts, query: Rows, random: np.random.Generator) -> dict[str, float] | None:
    """How much score is lost without the path's facts, and without others; nothing where no path leads there."""
    head, answer = int(query[0]), int(query[2])
    edges, own = reasoner.aligned(facts, query[1:2])
    gradients = EdgeGradients(reasoner, edges, head, int(own[0]))
    slopes = gradients.of(answer)
    paths = best_paths(edges, slopes, head, answer, longest=reasoner.settings.layers, top=1)
    if not paths:
        return None
    count, out = len(facts), edges.by_source
    sources = np.repeat(np.arange(edges.nodes), np.diff(out.first))
    keys = {tuple(fact): row for row, fact in enumerate(facts.triples.tolist())}

    def facts_of(places: Rows) -> Rows:
        triples = np.stack([sources[places], out.right[places], out.left[places]], axis=1)
        turned = np.where(triples[:, 1:2] < len(facts.relations), triples, inverse(triples, len(facts.relations)))
        return np.unique([keys[tuple(fact)] for fact in turned.tolist()])

    gone = facts_of(paths[0][1])
    pools = {
        "near": np.flatnonzero(np.isin(facts.triples[:, [0, 2]], [head, answer]).any(axis=1)),
        "read": facts_of(np.flatnonzero(slopes)),
        "anywhere": np.arange(count),
    }
    before = float(gradients.scores[answer])

    def lost(rows: Rows) -> float:
        kept = np.delete(np.arange(count), rows)
        return before - float(reasoner.score(replace(facts, triples=facts.triples[kept]), query[None, :2])[0, answer])

    drawn = {name: random.choice(pool, min(len(gone), len(pool)), replace=False) for name, pool in pools.items()}
    return {"path": lost(gone), "length": float(len(paths[0][1])), **{name: lost(rows) for name, rows in drawn.items()}}


def main() -> None:
    """Trains, draws queries and takes facts away."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--seconds", type=float, default=55)
    parser.add_argument("--saved", help="A path reasoner trained on UMLS; else one is trained.")
    arguments = parser.parse_args()
    folder = data_folder() / "kg" / "umls"
    if not folder.is_dir():
        sys.exit("skipped: no folder kg/umls under CORTIGRAPH_DATA or ../shared/data")
    splits = read_splits(folder)
    found: list[dict[str, float]] = []
    missing = 0
    for seed in map(int, arguments.seeds.split(",")):
        reasoner = artefact.load(arguments.saved).reasoner if arguments.saved else _trained(splits, seed, arguments)
        if not isinstance(reasoner, PathReasoner):
            sys.exit(f"{arguments.saved} is no path reasoner")
        random = np.random.default_rng(seed)
        both = np.concatenate([splits.test, inverse(splits.test, len(splits.facts.relations))])
        for query in both[random.permutation(len(both))[: arguments.queries]]:
            told = drops(reasoner, splits.facts, query, random)
            missing += told is None
            found += [told] if told is not None else []
    asked = len(found) + missing
    shares = {name: sum(each["path"] > each[name] for each in found) / asked for name in DRAWS}
    means = {f"lost_{name}": float(np.mean([each[name] for each in found])) for name in ("path", *DRAWS)}
    length = float(np.mean([each["length"] for each in found]))
    last_line(faithful=shares["read"], **{f"faithful_{name}": share for name, share in shares.items()}, **means,
              length=length, queries=asked, without_path=missing)  # fmt: skip


def _trained(splits: Splits, seed: int, arguments: argparse.Namespace) -> PathReasoner:
    settings = PathSettings(layers=5, seconds=arguments.seconds, epochs=12, seed=seed)
    return train_path(splits.facts, splits.valid, settings, _watch)


def _watch(told: Progress) -> None:
    tell(f"  step {told.step}/{told.steps}  loss {told.loss:.4f}  valid {told.mrr or 0:.4f}  {told.seconds:.0f} s")


if __name__ == "__main__":
    main()

"""How well a reasoner answers on a published graph: filtered ranks of the test facts, both directions, ties against us.

    python benchmarks/kg_quality.py --data umls|kinship|fb237_v1…|codex-s|WN18RR|FB15k-237 [--seeds 0,1,2]
                                    [--reasoner path] [--set layers=6 --set seconds=120 …] [--out FOLDER]

The graphs are looked for under CORTIGRAPH_DATA, else ../shared/data beside the project. `fb237_v1` to `v4` are
inductive: trained on one graph, asked on another (`fb237_v1_ind`) that shares no entity with it; there `hits@10_50neg`
is the share of answers among the first ten of themselves and 50 drawn entities. `--out` keeps each seed's reasoner as a
file that `cortigraph reason` reads. The last line is JSON, seeds averaged.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from _stage import data_folder, last_line, tell

from cortigraph.reasoning.reasoners import artefact
from cortigraph.reasoning.reasoners.base import Reasoner
from cortigraph.reasoning.reasoners.evaluate import Known, Metrics, evaluate, sampled_ranks
from cortigraph.reasoning.reasoners.facts import inverse
from cortigraph.reasoning.reasoners.train import Told, train
from cortigraph.reasoning.reasoners.triples import Splits, read_splits

NEGATIVES = 50
# For each graph the kind that suits it, and settings by kind; an ensemble's members take theirs from beside it.
SETTINGS: dict[str, dict[str, Any]] = {
    "umls": {
        "reasoner": "ensemble",
        "members": "path,complex",
        "path": {"layers": 5, "epochs": 5, "seconds": 48},
        "complex": {"rank": 128, "relation_weight": 1, "epochs": 40},
    },
    "kinship": {
        "reasoner": "ensemble",
        "members": "path,path,complex",
        "path": {"layers": 3, "dropout": 0.2, "edge_drop": 0.1, "epochs": 3, "seconds": 50},
        "complex": {"rank": 128, "relation_weight": 1, "epochs": 40},
    },
    "fb237_v1": {"reasoner": "foundation", "foundation": {"layers": 6, "epochs": 3, "seconds": 220}},
    "fb237_v2": {
        "reasoner": "ensemble",
        "members": "foundation,path",
        "foundation": {"layers": 6, "epochs": 3, "seconds": 380},
        "path": {"layers": 6, "epochs": 3, "seconds": 170},
    },
    "fb237_v3": {
        "reasoner": "ensemble",
        "members": "foundation,path",
        "foundation": {"layers": 6, "epochs": 3, "seconds": 700},
        "path": {"layers": 6, "epochs": 3, "seconds": 420},
    },
    "fb237_v4": {"reasoner": "foundation", "foundation": {"layers": 6, "epochs": 2, "seconds": 2400, "checks": 2}},
    "codex-s": {
        "reasoner": "ensemble",
        "members": "path,complex",
        "path": {"layers": 4, "epochs": 2, "seconds": 780, "checks": 2},
        "complex": {"rank": 256, "regularization": 0.01, "epochs": 60, "patience": 5},
    },
    "WN18RR": {
        "reasoner": "ensemble",
        "members": "path,complex",
        "path": {
            "layers": 6,
            "way": "outwards",
            "most": 400,
            "most_asked": 4000,
            "batch": 16,
            "epochs": 6,
            "seconds": 2700,
        },
        "complex": {"rank": 256, "regularization": 0.1, "seconds": 600, "epochs": 200},
    },
    "FB15k-237": {
        "reasoner": "ensemble",
        "members": "path,complex",
        "path": {
            "layers": 4,
            "way": "outwards",
            "most": 400,
            "most_asked": 2000,
            "epochs": 2,
            "seconds": 4700,
            "checks": 4,
            "watched": 1200,
        },
        "complex": {"rank": 512, "relation_weight": 4, "seconds": 1350, "patience": 4},
    },
}


def settings_for(data: str, kind: str | None) -> tuple[str, dict[str, Any]]:
    """A kind, the one that suits the graph if left out, and its settings for that graph."""
    suits = dict(SETTINGS.get(data, {}))
    best = suits.pop("reasoner", "path")
    kind = kind or best
    return kind, suits if kind == "ensemble" else suits.get(kind, {})


def folder(name: str) -> Path | None:
    """Where a graph lies."""
    found = data_folder() / "kg" / ("grail" if name.startswith("fb237") else "") / name
    return found if found.is_dir() else None


def watch(told: Told) -> None:
    """Says how far training is."""
    if told.mrr is not None:
        tell(f"  {told.seconds:.0f} s  loss {told.loss:.4f}  valid {told.mrr:.4f}")


def measure(
    trained: Splits, asked: Splits, kind: str, settings: dict[str, Any], out: Path | None = None
) -> dict[str, float]:
    """One seed."""
    began = time.perf_counter()
    reasoner = train(kind, trained.facts, trained.valid, settings, watch)
    seconds = time.perf_counter() - began
    if out is not None:
        artefact.save(reasoner, out, {"settings": settings, "seconds": round(seconds, 1)})
    with reasoner.on_device():
        found = judge(reasoner, asked, drawn=asked is not trained, seed=int(settings["seed"]))
    result = {**found, "train_seconds": seconds}
    tell("  " + "  ".join(f"{name} {value:.4f}" for name, value in result.items()))
    return result


def judge(reasoner: Reasoner, asked: Splits, *, drawn: bool, seed: int) -> dict[str, float]:
    """Ranks of the test facts among all entities and, if `drawn`, among 50 drawn ones."""
    relations = len(asked.facts.relations)
    known = Known(np.concatenate([asked.facts.triples, asked.valid, asked.test]), relations)
    found: Metrics = evaluate(reasoner, asked.facts, asked.test, known)
    result = dict(found.to_json())
    if drawn:
        both = np.concatenate([asked.test, inverse(asked.test, relations)])
        ranks = []
        for start in range(0, len(both), 64):
            part = both[start : start + 64]
            queries = np.ascontiguousarray(part[:, :2])
            scores = reasoner.score(asked.facts, queries)
            ranks.append(sampled_ranks(scores, part[:, 2], *known.of(queries), NEGATIVES, seed + start))
        result["hits@10_50neg"] = float((np.concatenate(ranks) <= 10).mean())
    return result


def main() -> None:
    """Trains and judges for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--reasoner", help="a kind; else what suits the graph")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    place = folder(arguments.data)
    if place is None:
        sys.exit(f"skipped: no folder kg/…/{arguments.data} under CORTIGRAPH_DATA or ../shared/data")
    kind, chosen = settings_for(arguments.data, arguments.reasoner)
    chosen = {**chosen, **dict(each.split("=", 1) for each in arguments.set)}
    trained = read_splits(place)
    other = place.with_name(place.name + "_ind")
    asked = read_splits(other, trained.facts.relations) if other.is_dir() else trained
    results = []
    for seed in map(int, arguments.seeds.split(",")):
        tell(f"seed {seed}")
        out = arguments.out / f"{arguments.data}-{kind}-{seed}.safetensors" if arguments.out else None
        results.append(measure(trained, asked, kind, {**chosen, "seed": seed}, out))
    means = {name: float(np.mean([result[name] for result in results])) for name in results[0]}
    last_line(**means, data=arguments.data, reasoner=kind, seeds=len(results), settings=chosen)


if __name__ == "__main__":
    main()

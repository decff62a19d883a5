"""How well a foundation reasoner answers on graphs, and about relations, that it never saw.

    python benchmarks/kg_foundation.py [--train codex-s,umls,kinship,nations] [--ask fb237_v1,fb237_v2,fb237_v3]
                                       [--seed 0] [--set seconds=1500 …] [--out FILE] [--saved FILE]

Trains on several graphs at once, then ranks the test facts of others with not a step of training on them: filtered,
both directions, ties against us; for `fb237_v1` to `v4` on the graphs with other entities (`…_ind`), where
`hits@10_50neg` is also told. `--saved` judges a file that `--out` wrote. The last line is JSON. Beside it, as
published: ULTRA's zero-shot MRR on FB v1 to v4 is .486, .501, .482, .477. It was trained on FB15k-237, WN18RR and
CoDEx-M, whose relations are in part the same. Graphs are looked for under CORTIGRAPH_DATA, else ../shared/data beside
the project.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from _stage import last_line, tell
from kg_quality import folder, judge, watch

from cortigraph.reasoning.reasoners import artefact
from cortigraph.reasoning.reasoners.path.settings import FoundationSettings
from cortigraph.reasoning.reasoners.path.training import train_foundation
from cortigraph.reasoning.reasoners.triples import read_splits

SETTINGS: dict[str, Any] = {"layers": 5, "batch": 16, "epochs": 1, "checks": 8, "seconds": 1500}


def main() -> None:
    """Trains, then asks about each graph."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", default="codex-s,umls,kinship,nations")
    parser.add_argument("--ask", default="fb237_v1,fb237_v2,fb237_v3,fb237_v4")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--saved", type=Path)
    arguments = parser.parse_args()
    names, asked = arguments.train.split(","), arguments.ask.split(",")
    missing = [name for name in {*names, *asked} if folder(name) is None]
    if missing:
        sys.exit(f"skipped: no folder kg/…/{missing[0]} under CORTIGRAPH_DATA or ../shared/data")
    began, chosen = time.perf_counter(), {**SETTINGS, **dict(each.split("=", 1) for each in arguments.set)}
    if arguments.saved:
        reasoner = artefact.load(arguments.saved).reasoner
    else:
        graphs = [read_splits(place) for name in names if (place := folder(name)) is not None]
        settings = FoundationSettings.model_validate({**chosen, "seed": arguments.seed})
        reasoner = train_foundation([(graph.facts, graph.valid) for graph in graphs], settings, watch)
    seconds = time.perf_counter() - began
    if arguments.out:
        artefact.save(reasoner, arguments.out, {"graphs": names, "settings": chosen, "seconds": round(seconds, 1)})
    told: dict[str, float] = {}
    for name in asked:
        place = folder(name)
        assert place is not None
        other = place.with_name(place.name + "_ind")
        splits = read_splits(other if other.is_dir() else place)
        found = judge(reasoner, splits, drawn=other.is_dir(), seed=arguments.seed)
        tell(f"  {name}  " + "  ".join(f"{what} {value:.4f}" for what, value in found.items()))
        told |= {f"{name}_{what}": value for what, value in found.items()}
    last_line(**told, train_seconds=seconds, trained_on=names, settings=chosen)


if __name__ == "__main__":
    main()

"""How long `ask` takes over FB15k-237 in the store: warm, ten answers, each with the paths that carried it.

    python benchmarks/ask_latency.py [--questions 100] [--seconds 120] [--most 400]

The ingestion job of examples/knowledge fills an embedded store (without the vectors of names, which `ask` by key does
not need); a path reasoner with a pruned frontier is trained on it for a while, as `reason train --graph` does; test
facts are asked for in both directions. The last line is JSON: `p50_ms`, `p90_ms`, and the same without paths.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import yaml
from _fb15k import folder, read
from _stage import data_folder, fresh, last_line, tell

from cortigraph.brain import Brain
from cortigraph.reasoning.asking.learn import learn

JOB = Path(__file__).parents[1] / "examples" / "knowledge" / "fb15k237.yaml"


def main() -> None:
    """Fills, trains, asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--most", type=int, default=400)
    parser.add_argument("--layers", type=int, default=4)
    arguments = parser.parse_args()
    data = read(folder())
    os.environ.setdefault("CORTIGRAPH_DATA", str(data_folder()))
    with fresh() as (store, home):
        brain = Brain(store, home)
        job = yaml.safe_load(JOB.read_text(encoding="utf-8"))
        for mapping in job["nodes"]:
            mapping.pop("embed", None)
        began = time.perf_counter()
        brain.ingest(job)
        tell(f"ingested in {time.perf_counter() - began:.0f} s")
        settings = {"layers": arguments.layers, "way": "outwards", "most": arguments.most, "epochs": 1,
                    "seconds": arguments.seconds, "watched": 50}  # fmt: skip
        learn(
            store, home, choices=settings, progress=lambda told: tell(f"  {told.seconds:.0f} s, loss {told.loss:.2f}")
        )
        random = np.random.default_rng(0)
        some = [data.triples[-1 - place] for place in random.permutation(data.parts["test"])[: arguments.questions]]
        began = time.perf_counter()
        brain.ask(some[0][0], some[0][1])
        cold = time.perf_counter() - began
        times = {paths: _asked(brain, some, paths) for paths in (3, 0)}
    last_line(p50_ms=float(np.median(times[3])), p90_ms=float(np.percentile(times[3], 90)),
              p50_ms_without_paths=float(np.median(times[0])), first_ms=1000 * cold, questions=len(times[3]),
              settings=settings)  # fmt: skip


def _asked(brain: Brain, triples: list[tuple[str, str, str]], paths: int) -> list[float]:
    """Milliseconds of each question, forwards and backwards by turns; the first few warm up."""
    times = []
    for number, (head, relation, tail) in enumerate(triples[:5] + triples):
        began = time.perf_counter()
        asked = (head, relation) if number % 2 else ("?", relation, tail)
        answers = brain.ask(*asked, paths=paths)
        times.append(1000 * (time.perf_counter() - began))
        assert len(answers) == 10
    return times[5:]


if __name__ == "__main__":
    main()

"""Region selection: leave one data set out, and foretell every run on it, beside the baselines.

    CORTIGRAPH_DATA=… python benchmarks/region_selection.py
    python benchmarks/region_selection.py --job JOB.yaml --targets cola sst2 … [--drop …] [--metric accuracy]

The job is run on an empty store, and the evidence read back from it: what is measured is what a user has. Each target
is foretold from runs on the other data sets, the cards, and proxies on the target; then again with 1, 3 and 10 of
its runs in sight, judged by the rest. Figures are means over targets and seeds.
The last line is JSON: `pearson`, `pearson_without_failed`, `spearman`, `relative_top1`, `coverage80`, the same for
`column_mean`, `trees` and each proxy, paired differences, and the curve over runs in sight.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _stage import data_folder, fresh, last_line, tell
from _zoo import Trees, column_mean, proxy
from numpy.typing import NDArray

from cortigraph.ingest.job import load_job
from cortigraph.ingest.run import run
from cortigraph.reasoning.selector.evaluate import failed, metrics
from cortigraph.reasoning.selector.evidence import Evidence
from cortigraph.reasoning.selector.explain import explain
from cortigraph.reasoning.selector.model import Selector
from cortigraph.reasoning.selector.recall import recall_evidence

ROOT = Path(__file__).resolve().parents[1]
JOB = ROOT / "examples/zoo/transfergraph.yaml"
# Those that have LogME; on food101 nine in ten runs stayed at chance.
TARGETS = ("caltech101", "cifar100", "dtd", "flowers", "pets", "smallnorb_label_elevation", "stanfordcars", "svhn")
DROP = ("food101",)
SHOWN = (0, 1, 3, 10)
FEWEST = 20
MEASURES = ("pearson", "pearson_without_failed", "spearman", "relative_top1")

Rows = NDArray[np.int64]
Figures = dict[str, float]
Forecast = Callable[[Rows], NDArray[np.float64]]


def recalled(job: Path, metric: str) -> Evidence:
    """What the graph holds once a job was run on an empty store."""
    os.environ.setdefault("CORTIGRAPH_DATA", str(data_folder()))
    with fresh() as (store, home):
        began = time.perf_counter()
        run(store, home, load_job(job))
        read = time.perf_counter()
        evidence = recall_evidence(store, metric=metric)
        tell(f"job {read - began:.1f} s, evidence read in {time.perf_counter() - read:.2f} s")
        return evidence


def judged(
    evidence: Evidence, column: int, forecast: Forecast, shown: int, seed: int, doubt: Forecast | None = None
) -> Figures:
    """A forecast's figures on the runs that it has not seen; `doubt` is taken off before the first is chosen."""
    scores = evidence.scores[:, column]
    runs = np.flatnonzero(np.isfinite(scores))
    rows = np.random.default_rng(seed).permutation(runs)[:shown]
    rest = np.setdiff1d(runs, rows)
    expected = forecast(rows)[rest]
    usable = np.isfinite(expected)  # a proxy is not known of all
    less = doubt(rows)[rest][usable] if doubt else 0.0
    return metrics(expected[usable], scores[rest][usable], failed(scores)[rest][usable], less)


def ours(selector: Selector, shown: int, seed: int) -> Figures:
    """The selector's, with the part of the unseen runs that its intervals hold."""
    scores = selector.evidence.scores[:, selector.column]
    runs = np.flatnonzero(np.isfinite(scores))
    rows = np.random.default_rng(seed).permutation(runs)[:shown]
    found = judged(
        selector.evidence,
        selector.column,
        lambda seen: selector.belief(seen).mean,
        shown,
        seed,
        lambda seen: selector.belief(seen).apart,
    )
    names = [selector.evidence.regions[row] for row in rows]
    rest = {selector.evidence.regions[row]: scores[row] for row in np.setdiff1d(runs, rows)}
    told = [one for one in selector.rank(runs=names, seed=seed).regions if one.key in rest]
    found["coverage80"] = float(np.mean([one.low <= rest[one.key] <= one.high for one in told]))
    return found


def measure(evidence: Evidence, target: str, shown: Sequence[int], seeds: int) -> dict[str, Any]:
    """All methods on one target: method → runs in sight → figures, each the mean over seeds."""
    column = evidence.dataset(target)
    began = time.perf_counter()
    selector = Selector.for_dataset(evidence, target)
    explain(selector, selector.rank(runs=()).regions[0].key)
    seconds = time.perf_counter() - began
    flat = column_mean(evidence.scores, column)
    found: dict[str, Any] = {"selector": {}, "column_mean": {}, "trees": {}}
    for count in shown:
        draws = range(seeds)
        found["selector"][count] = mean([ours(selector, count, seed) for seed in draws])
        found["column_mean"][count] = mean([judged(evidence, column, _always(flat), count, s) for s in draws])
        trees = [judged(evidence, column, Trees(evidence, column, s).forecast, count, s) for s in draws]
        found["trees"][count] = mean(trees)
    for name in evidence.proxies:
        told = proxy(evidence, name, column)
        if told is not None:
            found.setdefault(name.lower(), {})[0] = judged(evidence, column, _always(told), 0, 0)
    tell(f"{target}: {row(found['selector'][shown[0]])}   ({seconds:.1f} s to rank and explain)")
    return found


def _always(told: NDArray[np.float64]) -> Forecast:
    """A forecast that looks at no run on the target."""
    return lambda _: told


def mean(figures: Sequence[Figures]) -> Figures:
    """Of several."""
    return {name: float(np.mean([one[name] for one in figures])) for name in figures[0]}


def row(figures: Figures) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in figures.items())


def paired(found: dict[str, Any], other: str, shown: int) -> dict[str, Figures]:
    """Ours minus another's, target by target: mean, standard error, and on how many targets ours is better."""
    told = {}
    for name in MEASURES:
        apart = np.array([one["selector"][shown][name] - one[other][shown][name] for one in found.values()])
        error = float(apart.std(ddof=1) / np.sqrt(len(apart))) if len(apart) > 1 else 0.0
        told[name] = {"mean": round(float(apart.mean()), 4), "error": round(error, 4), "better": int((apart > 0).sum())}
    return told


def summarise(found: dict[str, Any], shown: Sequence[int]) -> dict[str, Any]:
    """Means over targets, printed and as the last line's values."""
    methods = sorted({name for one in found.values() for name in one})
    first = {name: mean([one[name][0] for one in found.values() if name in one]) for name in methods if shown[0] == 0}
    for name, figures in first.items():
        print(f"{name:16s} {row(figures)}")
    curve: dict[str, dict[str, float]] = {}
    for name in ("selector", "trees", "column_mean"):
        curve[name] = {}
        for count in shown:
            figures = mean([one[name][count] for one in found.values()])
            curve[name][str(count)] = round(figures["spearman"], 4)
            print(f"{name:16s} {count:2d} runs in sight: {row(figures)}")
    apart = {other: paired(found, other, shown[0]) for other in ("column_mean", "trees")}
    for other, figures in apart.items():
        print(f"minus {other}: {figures}")
    rounded = {name: {k: round(v, 4) for k, v in figures.items()} for name, figures in first.items()}
    others = {name: figures for name, figures in rounded.items() if name != "selector"}
    return {**first.get("selector", {}), **others, "minus": apart, "curve": curve, "targets": len(found)}


def main() -> None:
    """Runs the job, measures each target, prints the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", type=Path, default=JOB)
    parser.add_argument("--targets", nargs="*")
    parser.add_argument("--drop", nargs="*")
    parser.add_argument("--metric", default="accuracy")
    parser.add_argument("--shown", nargs="*", type=int, default=list(SHOWN))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    usual = options.job == JOB
    evidence = recalled(options.job, options.metric)
    drop = options.drop if options.drop is not None else (DROP if usual else ())
    evidence = evidence.without(drop)
    full = [key for i, key in enumerate(evidence.datasets) if np.isfinite(evidence.scores[:, i]).sum() >= FEWEST]
    targets = options.targets or (TARGETS if usual else full)
    found = {target: measure(evidence, target, options.shown, options.seeds) for target in targets}
    last_line(**summarise(found, options.shown))


if __name__ == "__main__":
    main()

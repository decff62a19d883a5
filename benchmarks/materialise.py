"""Is what `reason materialise` writes true? Precision, calibration and what was found, beside the obvious rules.

    python benchmarks/materialise.py --data umls|codex_s|demo|kinship|nations|countries [--seeds 0,1,2]
                                     [--reasoner KIND] [--set rank=128 …] [--dev SHARE]

The graph is train.txt alone; of it a twentieth is held out, as `reason train` does, and the reasoner learns from the
rest. True is what valid.txt or test.txt says, which neither training nor anything after it has seen; false is all that
the data set does not name at all, which of an incomplete graph such as CoDEx is too strict. The demo is the medicine of
the examples, whose graph the seed draws, too: true is what was held back. `countries` is made up: of 48 of 250
countries the region is held back. `--dev SHARE` leaves test.txt out of all counts and hides that share of the other
facts instead: settings were chosen so, on graphs and seeds other than those reported.

Three ways to choose, from the same reasoner: `ours`; `old`, its own probability of the three best answers of whoever
has a fact of the relation; and `first`, the same of the best answer alone. Of each at p >= .5: how many would be
written, the share that is true, the share of hidden facts found so, the mean probability; and the expected calibration
error (ten bins) of all that has p >= .1, which thousands that nobody would write do not swamp. The last line is JSON;
seeds are put together.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _stage import data_folder, last_line, tell

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples" / "medicine"))
import made

from cortigraph.reasoning.asking.candidates import codes
from cortigraph.reasoning.asking.learn import split
from cortigraph.reasoning.asking.likelihood import calibration_gap
from cortigraph.reasoning.asking.missing import missing
from cortigraph.reasoning.reasoners.base import Reasoner
from cortigraph.reasoning.reasoners.calibration import Calibration, Floats, calibrate
from cortigraph.reasoning.reasoners.evaluate import Known
from cortigraph.reasoning.reasoners.facts import Facts, entity_keys, relation_names, rows
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.reasoning.reasoners.train import Told, train
from cortigraph.reasoning.reasoners.triples import read_splits

CLOSED = {"rank": 128, "relation_weight": 1, "epochs": 40}
PATH = {"layers": 4, "epochs": 30, "seconds": 40}
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "umls": ("path", PATH | {"layers": 5, "epochs": 5, "seconds": 60}),
    "kinship": ("complex", CLOSED),
    "nations": ("complex", CLOSED),
    "codex_s": ("complex", {"rank": 256, "regularization": 0.01, "epochs": 60, "patience": 5}),
    "demo": ("path", PATH),
    "countries": ("path", PATH | {"epochs": 10}),
}
WAYS = ("ours", "old", "first")


def graph(data: str, seed: int, dev: float) -> tuple[Facts, Rows, Rows] | None:
    """What is known, what is hidden and true, and what counts nowhere; nothing where there is no such data."""
    if data in ("demo", "countries"):
        told, held = made.facts(seed) if data == "demo" else countries(seed)
        tables = [table(told), table(held)]
        entities, relations = entity_keys(tables), relation_names(tables)
        facts = Facts.of(tables[0], entities, relations)
        return facts, rows(tables[1], entities, relations), facts.triples[:0]
    folder = data_folder() / "kg" / data.replace("_", "-")
    if not folder.is_dir():
        return None
    splits = read_splits(folder)
    if not dev:
        return splits.facts, np.concatenate([splits.valid, splits.test]), splits.test[:0]
    both = np.concatenate([splits.train, splits.valid])
    order = np.random.default_rng(seed).permutation(len(both))
    hidden = order[: int(dev * len(both))]
    return replace(splits.facts, triples=np.unique(np.delete(both, hidden, 0), axis=0)), both[hidden], splits.test


def table(facts: list[tuple[str, str, str]]) -> Any:
    """Facts as columns."""
    import pyarrow as pa

    return pa.table({name: [fact[place] for fact in facts] for place, name in enumerate(("head", "relation", "tail"))})


def countries(seed: int) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    """250 countries in 23 parts of 6 regions, with neighbours; of 48 it is not told in which region they are."""
    random = np.random.default_rng(seed)
    parts = np.sort(random.integers(0, 23, 250))
    where = [(f"country:{each}", "locatedin", f"region:{part % 6}") for each, part in enumerate(parts)]
    told = [(f"country:{each}", "locatedin", f"part:{part}") for each, part in enumerate(parts)]
    told += [(f"part:{part}", "locatedin", f"region:{part % 6}") for part in range(23)]
    for each in range(250):
        for other in range(each + 1, min(each + 4, 250)):
            if random.random() < 0.6:
                told += [(f"country:{a}", "neighbor", f"country:{b}") for a, b in ((each, other), (other, each))]
    held = set(random.permutation(250)[:48].tolist())
    return told + [f for n, f in enumerate(where) if n not in held], [where[n] for n in sorted(held)]


def chosen(reasoner: Reasoner, calibration: Calibration, facts: Facts, top: int) -> tuple[Rows, Floats]:
    """By the obvious rule: whoever has a fact of a relation, and the reasoner's own probability of its best answers."""
    relations, known = len(facts.relations), Known(facts.triples, len(facts.relations))
    questions = np.unique(np.stack([facts.edges.source, facts.edges.relation], axis=1), axis=0)
    best: dict[tuple[int, int, int], float] = {}
    for start in range(0, len(questions), reasoner.batch):
        some = np.ascontiguousarray(questions[start : start + reasoner.batch])
        first, answers = known.of(some)
        for row, (scores, (head, number)) in enumerate(zip(reasoner.score(facts, some), some.tolist(), strict=True)):
            own = answers[first[row] : first[row + 1]]
            likely = calibration.probabilities(scores, own)
            likely[own] = -1
            for tail in np.argsort(-likely, kind="stable")[:top].tolist():
                fact = (head, number, tail) if number < relations else (tail, number - relations, head)
                best[fact] = max(best.get(fact, 0.0), float(likely[tail]))
    return np.array(list(best), dtype=np.int64).reshape(-1, 3), np.array(list(best.values()))


def main() -> None:
    """Trains, asks, and counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, choices=sorted(SETTINGS))
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--reasoner", help="a kind; else what suits the graph")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--dev", type=float, default=0.0, metavar="SHARE")
    arguments = parser.parse_args()
    suits, settings = SETTINGS[arguments.data]
    kind = arguments.reasoner or suits
    own = {**(settings if kind == suits else {}), **dict(each.split("=", 1) for each in arguments.set)}
    told: dict[str, list[tuple[Floats, Floats]]] = {way: [] for way in WAYS}
    said: list[float] = []
    hidden_facts = 0
    for seed in map(int, arguments.seeds.split(",")):
        given = graph(arguments.data, seed, arguments.dev)
        if given is None:
            sys.exit(
                f"skipped: no folder kg/{arguments.data.replace('_', '-')} under CORTIGRAPH_DATA or ../shared/data"
            )
        facts, hidden, aside = given
        hidden_facts += len(hidden)
        rest, held = split(facts)
        reasoner = train(kind, rest, held, {**own, "seed": seed}, watch)
        calibration = calibrate(reasoner, rest, held)
        kinds = np.zeros(len(facts.entities), dtype=np.int64)
        ours = missing(reasoner, facts, rest, held, kinds, relations=np.arange(len(facts.relations)))
        said.append(ours.quality.precision if ours.quality.precision is not None else float("nan"))
        ways = [(ours.found.triples, ours.probabilities)] + [chosen(reasoner, calibration, facts, n) for n in (3, 1)]
        for way, (triples, likely) in zip(WAYS, ways, strict=True):
            counted = ~np.isin(codes(facts, triples), codes(facts, aside))
            true = np.isin(codes(facts, triples), codes(facts, hidden))
            told[way].append((likely[counted], true[counted]))
            tell(f"seed {seed} {way}: {figures([told[way][-1]], len(hidden))}")
    ways_told = {way: figures(pairs, hidden_facts) for way, pairs in told.items()}
    last_line(**ways_told, said_precision=float(np.nanmean(said)), hidden=hidden_facts, data=arguments.data,
              reasoner=kind, settings=own, seeds=arguments.seeds, dev=arguments.dev)  # fmt: skip


def figures(pairs: list[tuple[Floats, Floats]], hidden: int) -> dict[str, Any]:
    """What came of one way to choose."""
    likely, true = (np.concatenate(each) for each in zip(*pairs, strict=True))
    written = likely >= 0.5
    return {
        "written": int(written.sum()),
        "true": int(true[written].sum()),
        "precision": _share(true[written]),
        "found": round(float(true[written].sum() / hidden), 4),
        "mean_probability": _share(likely[written]),
        "calibration_error": _rounded(calibration_gap(likely, true)),
        "calibration_error_written": _rounded(calibration_gap(likely, true, least=0.5)),
    }


def _share(values: Floats) -> float | None:
    return round(float(values.mean()), 4) if len(values) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def watch(told: Told) -> None:
    """Says how far training is."""
    if told.mrr is not None:
        tell(f"  {told.seconds:.0f} s  loss {told.loss:.4f}  valid {told.mrr:.4f}")


if __name__ == "__main__":
    main()

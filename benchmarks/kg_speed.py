"""Closed-graph scorers on FB15k-237 beside PyKEEN: training RotatE and ComplEx, and filtered evaluation.

    pip install pykeen
    python benchmarks/kg_speed.py [--rounds 3] [--threads 2]

Both train the same model on the same facts: RotatE of 200 complex numbers, 64 negatives drawn for each fact alone, 512
facts a step; ComplEx of 100, 256 queries `(head, relation, ?)` a step, each against all entities, facts of one query
together (PyKEEN's LCWA loop); cross entropy, Adagrad. Steps are timed after the first ones; rounds alternate, medians
count. Ours takes bfloat16 products where the processor has them; `complex_ratio_float32` is without. Ours has N3
besides. Evaluation ranks the same sample of test facts with the same vectors, in both directions, ties against the
answer, and the metrics must be equal to 1e-6; building the filter counts. PyKEEN would take minutes for all test facts:
`evaluate_ratio` sets our rate over all of them beside its rate over the sample, `evaluate_ratio_sample` both over the
sample. The last line is JSON: facts per second of each, and ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import _fb15k
import numpy as np
import torch
from _stage import last_line, tell

from cortigraph.reasoning.reasoners.embedding.adversarial import AdversarialSteps
from cortigraph.reasoning.reasoners.embedding.complex import ComplEx
from cortigraph.reasoning.reasoners.embedding.distance import RotatE
from cortigraph.reasoning.reasoners.embedding.names import Names
from cortigraph.reasoning.reasoners.embedding.settings import ComplExSettings, DistanceSettings
from cortigraph.reasoning.reasoners.embedding.softmax import Queries, SoftmaxSteps
from cortigraph.reasoning.reasoners.evaluate import Known, evaluate
from cortigraph.reasoning.reasoners.triples import Splits, read_splits

WARM = 4
SAMPLE = 1024
METRICS = {"mrr": "inverse_harmonic_mean_rank", "hits@1": "hits_at_1", "hits@3": "hits_at_3", "hits@10": "hits_at_10"}


def between(times: list[float], each: float) -> float:
    """Facts per second of all steps but the first ones."""
    return each * (len(times) - WARM) / (times[-1] - times[WARM - 1])


def timed(step: Callable[[int], Any], steps: int) -> list[float]:
    """When each of our steps ended."""
    times = []
    for number in range(steps):
        step(number)
        times.append(time.perf_counter())
    return times


class Timed(torch.optim.Adagrad):
    """Notes when each step ended. PyKEEN makes optimizers anew, so the class must do it."""

    times: ClassVar[list[float]] = []

    def step(self, closure: Any = None) -> Any:
        """One step."""
        found = super().step(closure)
        Timed.times.append(time.perf_counter())
        return found


def peer(loop: Any, factory: Any, batch: int) -> list[float]:
    """When each step of one epoch of PyKEEN ended."""
    Timed.times = []
    loop.train(factory, num_epochs=1, batch_size=batch, use_tqdm=False)
    return Timed.times


def factory_of(splits: Splits, triples: np.ndarray) -> Any:
    """Facts as PyKEEN takes them."""
    from pykeen.triples import CoreTriplesFactory

    sizes = {"num_entities": len(splits.facts.entities), "num_relations": len(splits.facts.relations)}
    return CoreTriplesFactory(torch.from_numpy(triples), **sizes)


def vectors(splits: Splits, rows: int, width: int, scale: float) -> np.ndarray:
    """First vectors."""
    return (scale * np.random.default_rng(rows).standard_normal((rows, width))).astype(np.float32)


def rotate_ours(splits: Splits, triples: np.ndarray) -> float:
    """Facts per second of our RotatE."""
    facts, settings = splits.facts, DistanceSettings(rank=200, negatives=64, batch=512)
    tables = vectors(splits, len(facts.entities), 400, 0.05), vectors(splits, len(facts.relations), 200, 1.0)
    steps, generator = AdversarialSteps(RotatE(Names.of(facts), *tables), settings), np.random.default_rng(0)
    return between(timed(lambda n: steps.run(triples[512 * n : 512 * (n + 1)], generator), len(triples) // 512), 512)


def rotate_peer(splits: Splits, triples: np.ndarray) -> float:
    """The same of PyKEEN's."""
    from pykeen.losses import NSSALoss
    from pykeen.models import RotatE as PeerRotatE
    from pykeen.training import SLCWATrainingLoop

    factory = factory_of(splits, triples)
    loss = NSSALoss(margin=9.0, adversarial_temperature=1.0)
    model = PeerRotatE(triples_factory=factory, embedding_dim=200, loss=loss, random_seed=0)
    optimizer = Timed(model.parameters(), lr=0.01)
    drawn = {"negative_sampler": "basic", "negative_sampler_kwargs": {"num_negs_per_pos": 64}}
    loop = SLCWATrainingLoop(model=model, triples_factory=factory, optimizer=optimizer, **drawn)
    return between(peer(loop, factory, 512), 512)


def complex_ours(splits: Splits, triples: np.ndarray, precision: str) -> float:
    """Facts per second of our ComplEx."""
    facts, settings = splits.facts, ComplExSettings(rank=100, batch=256, precision=precision)
    tables = vectors(splits, len(facts.entities), 200, 0.1), vectors(splits, 2 * len(facts.relations), 200, 0.1)
    steps, queries = SoftmaxSteps(ComplEx(Names.of(facts), *tables), settings), Queries(triples)
    order = np.random.default_rng(0).permutation(len(queries))
    times = timed(lambda n: steps.run(queries, order[256 * n : 256 * (n + 1)]), len(queries) // 256)
    return between(times, 256 * len(triples) / len(queries))


def complex_peer(splits: Splits, triples: np.ndarray) -> tuple[float, Any]:
    """The same of PyKEEN's, and its model."""
    from pykeen.losses import CrossEntropyLoss
    from pykeen.models import ComplEx as PeerComplEx
    from pykeen.training import LCWATrainingLoop

    factory = factory_of(splits, triples)
    model = PeerComplEx(triples_factory=factory, embedding_dim=100, loss=CrossEntropyLoss(), random_seed=0)
    optimizer = Timed(model.parameters(), lr=0.1)
    loop = LCWATrainingLoop(model=model, triples_factory=factory, optimizer=optimizer)
    each = 256 * len(triples) / len(np.unique(triples[:, :2], axis=0))
    return between(peer(loop, factory, 256), each), model


def adopted(splits: Splits, model: Any) -> ComplEx:
    """PyKEEN's vectors as a scorer of ours; a relation's inverse is its conjugate."""
    entity, relation = (part[0]().detach() for part in (model.entity_representations, model.relation_representations))
    both = torch.cat([relation, relation.conj()])
    tables = (torch.cat([table.real, table.imag], dim=1).numpy() for table in (entity, both))
    return ComplEx(Names.of(splits.facts), *tables)


def evaluations(splits: Splits, model: Any, rounds: int) -> tuple[float, float, float]:
    """Facts ranked per second: ours, PyKEEN's, and ours over all test facts.

    Raises:
        SystemExit: The metrics differ.
    """
    sample = splits.test[np.random.default_rng(0).permutation(len(splits.test))[:SAMPLE]]
    facts, scorer = splits.facts, adopted(splits, model)
    everything = np.concatenate([facts.triples, splits.valid, splits.test])

    def ours(triples: np.ndarray) -> tuple[float, dict[str, float]]:
        began = time.perf_counter()
        metrics = evaluate(scorer, facts, triples, Known(everything, len(facts.relations)))
        return len(triples) / (time.perf_counter() - began), metrics.to_json()

    def theirs() -> tuple[float, dict[str, float]]:
        from pykeen.evaluation import RankBasedEvaluator

        began = time.perf_counter()
        found = RankBasedEvaluator().evaluate(
            model, torch.from_numpy(sample), batch_size=256, use_tqdm=False,
            additional_filter_triples=[torch.from_numpy(everything)],
        )  # fmt: skip
        rate = len(sample) / (time.perf_counter() - began)
        return rate, {name: found.get_metric(f"both.pessimistic.{metric}") for name, metric in METRICS.items()}

    ours(sample)
    pairs = [(ours(sample), theirs()) for _ in range(rounds)]
    (_, mine), (_, its) = pairs[0]
    tell(f"metrics: ours {mine}, PyKEEN's {its}")
    if any(abs(mine[name] - its[name]) > 1e-6 for name in METRICS):
        raise SystemExit("the metrics differ")
    whole = statistics.median(ours(splits.test)[0] for _ in range(rounds))
    return statistics.median(m[0] for m, _ in pairs), statistics.median(p[0] for _, p in pairs), whole


def main() -> None:
    """All three, and the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    try:
        import pykeen  # noqa: F401
    except ImportError as error:
        raise SystemExit(f"{error}: install the peer with `pip install 'cortigraph[benchmarks]'`") from None
    warnings.filterwarnings("ignore")
    import numba

    torch.set_num_threads(args.threads)
    numba.set_num_threads(args.threads)
    splits = read_splits(_fb15k.folder())
    rates: dict[str, list[float]] = {}
    model = None
    for number in range(args.rounds):
        few, some = samples(splits, np.random.default_rng(number))
        _, model = found = complex_peer(splits, some)
        told = {
            "rotate": rotate_ours(splits, np.concatenate([few] * 4)), "rotate_pykeen": rotate_peer(splits, few),
            "complex": complex_ours(splits, some, "auto"), "complex_float32": complex_ours(splits, some, "float32"),
            "complex_pykeen": found[0],
        }  # fmt: skip
        tell(f"round {number + 1}: { ({name: round(rate) for name, rate in told.items()}) } facts/s")
        for name, rate in told.items():
            rates.setdefault(name, []).append(rate)
    medians = {name: statistics.median(found) for name, found in rates.items()}
    ours, theirs, whole = evaluations(splits, model, args.rounds)
    medians |= {"evaluate": ours, "evaluate_pykeen": theirs, "evaluate_all": whole}
    last_line(
        rotate_ratio=medians["rotate"] / medians["rotate_pykeen"],
        complex_ratio=medians["complex"] / medians["complex_pykeen"],
        complex_ratio_float32=medians["complex_float32"] / medians["complex_pykeen"],
        evaluate_ratio=whole / theirs, evaluate_ratio_sample=ours / theirs,
        facts_per_s={name: round(rate) for name, rate in medians.items()}, threads=args.threads,
    )  # fmt: skip


def samples(splits: Splits, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """16 steps' worth of facts for RotatE, and all facts of 24 steps' worth of queries for ComplEx."""
    triples = splits.facts.triples
    few = triples[generator.permutation(len(triples))[: 16 * 512]]
    pairs, which = np.unique(triples[:, :2], axis=0, return_inverse=True)
    chosen = generator.permutation(len(pairs))[: 24 * 256]
    return few, triples[np.isin(which, chosen)]


if __name__ == "__main__":
    main()

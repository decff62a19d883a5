"""Probing: what regions' features say of a scene's own samples, before anything is trained on them.

Each region that may serve an input is built, with the weights that memory suggests, and run over a few training
samples. `logme` and `probe` are told of its features (`selector/proxies.py`); the time that it may take is bounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cortigraph.graph.errors import StoreError, brief
from cortigraph.reasoning.pathway.compose import Space
from cortigraph.reasoning.selector.proxies import few_sample_accuracy, logme
from cortigraph.reasoning.solving.problem import Problem
from cortigraph.regions.weights import WeightStore
from cortigraph.train.clock import Clock

__all__ = ["SAMPLES", "probe"]

SAMPLES = 256
_PART = 32  # samples at a time: the clock is looked at in between


def probe(
    problem: Problem,
    space: Space,
    weights: WeightStore,
    seconds: float,
    order: Mapping[str, Sequence[str]],
    samples: int = SAMPLES,
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, str]]]:
    """Proxies of the regions that may serve the inputs, as many as there is time for.

    Args:
        problem: The scene, read.
        space: Its space, with the weights that memory suggests.
        weights: Where they lie.
        seconds: Nothing more is begun after these; a region that is being run is left out then.
        order: Slot → its regions, those to probe first first; slots take turns.
        samples: How many training samples are looked at.

    Returns:
        Proxy → region → value, nothing where there are fewer than two classes among the samples; and slot → region →
        why it can't be run on them.
    """
    clock = Clock(seconds)
    rows = _rows(problem, samples)
    labels = np.asarray(problem.dataset.target[rows])
    found: dict[str, dict[str, float]] = {"logme": {}, "probe": {}}
    failed: dict[str, dict[str, str]] = {slot: {} for slot in order}
    if len(np.unique(labels)) < 2:
        return found, failed
    turns = [(place, slot, key) for slot, keys in order.items() for place, key in enumerate(keys)]
    for _, slot, key in sorted(turns, key=lambda turn: turn[0]):
        try:
            features = _features(problem, space, weights, slot, key, rows, clock)
        except StoreError:
            raise
        # Whatever a region's forward raises.
        except Exception as error:
            failed[slot][key] = brief(error)
            continue
        if features is None:
            break
        if np.isfinite(features).all():
            found["logme"][key] = logme(features, labels)
            found["probe"][key] = few_sample_accuracy(features, labels)
    return found, failed


def _rows(problem: Problem, samples: int) -> NDArray[np.int64]:
    """Training rows spread over the whole split, the same every time."""
    rows = problem.dataset.rows("train")
    return np.sort(np.random.default_rng(0).permutation(rows)[:samples])


def _features(
    problem: Problem,
    space: Space,
    weights: WeightStore,
    slot: str,
    key: str,
    rows: NDArray[np.int64],
    clock: Clock,
) -> NDArray[np.float64] | None:
    """(samples, features), as the region gives them before any training here; none if time is over before that."""
    import torch

    from cortigraph.train.samples import as_tensors

    decisions = {slot: {"region": key, "arguments": {}}}
    branch = space.branch(decisions, slot)
    blueprint = branch.blueprint(problem.port[slot], space.classes, decisions)
    parts = []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        pathway = blueprint.build(weights).eval()
        for start in range(0, len(rows), _PART):
            if not clock.left:
                return None
            some = as_tensors({slot: problem.dataset.inputs[slot][rows[start : start + _PART]]})
            parts.append(pathway.run(some, [branch.features])[branch.features].flatten(1).numpy())
    return np.concatenate(parts).astype(np.float64)

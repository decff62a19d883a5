"""How good a network is: its probabilities for samples, and what they are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cortigraph.regions.pathway import Pathway
from cortigraph.train.data.dataset import Dataset
from cortigraph.train.engine import Engine
from cortigraph.train.job import Metrics
from cortigraph.train.samples import Samples, as_tensors, batches, check_inputs, prepare
from cortigraph.train.single import SingleEngine

__all__ = ["Evaluation", "evaluate", "metrics_of", "predict"]


@dataclass(frozen=True)
class Evaluation:
    """What a network says about the samples of a split.

    Args:
        metrics: `accuracy` and `nll`.
        probabilities: (samples, classes)
        target: (samples,) of class indices.
        rows: (samples,) of row numbers in the data set.
    """

    metrics: Metrics
    probabilities: NDArray[np.float32]
    target: NDArray[np.int64]
    rows: NDArray[np.int64]


def evaluate(pathway: Pathway, dataset: Dataset, split: str, engine: Engine | None = None) -> Evaluation:
    """Runs a network over a split, each rank over its share.

    Args:
        pathway: The network.
        dataset: The data.
        split: Which rows.
        engine: Shares the work; one process when left out.

    Returns:
        The same on every rank.

    Raises:
        InputError: The network was composed for other data.
    """
    engine = engine or SingleEngine()
    check_inputs(pathway, dataset)
    samples = prepare(pathway, dataset, split, engine, cache_bytes=0)
    logits = logits_of(pathway, samples, engine)
    probabilities = functional.softmax(logits, dim=1).numpy()
    return Evaluation(metrics_of(logits, samples.target), probabilities, samples.target.numpy(), samples.rows.numpy())


def predict(pathway: Pathway, inputs: dict[str, NDArray[np.generic]]) -> NDArray[np.float32]:
    """Probabilities for new samples.

    Args:
        pathway: The network.
        inputs: Input name → (samples, …), as `decode_inputs` gives them.

    Returns:
        (samples, classes)
    """
    tensors = as_tensors(inputs)
    count = len(next(iter(tensors.values())))
    rows = torch.arange(count)
    logits = logits_of(pathway, Samples(tensors, rows, {}, torch.zeros_like(rows)), SingleEngine())
    probabilities: NDArray[np.float32] = functional.softmax(logits, dim=1).numpy()
    return probabilities


@torch.no_grad()
def logits_of(pathway: Pathway, samples: Samples, engine: Engine) -> Tensor:
    """(samples, classes), the same on every rank. Leaves the network in evaluation mode."""
    pathway.eval()
    output = pathway.blueprint.output
    parts = []
    for positions in batches(*engine.slice(len(samples))):
        parts.append(pathway.run(samples.take(positions))[output])
        engine.getting_on()
    classes = pathway.blueprint.ports[output].sizes[0] or 1
    return engine.gather(torch.cat(parts) if parts else torch.zeros(0, classes))


def metrics_of(logits: Tensor, target: Tensor) -> Metrics:
    """What logits are worth.

    Args:
        logits: (samples, classes)
        target: (samples,)

    Example:
        >>> metrics_of(torch.tensor([[9.0, 0.0], [9.0, 0.0]]), torch.tensor([0, 1]))["accuracy"]
        0.5
    """
    if not len(target):
        return {"accuracy": float("nan"), "nll": float("nan")}
    right = (logits.argmax(dim=1) == target).double().mean()
    return {"accuracy": float(right), "nll": float(functional.cross_entropy(logits.double(), target))}

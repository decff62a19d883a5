"""Outputs of frozen parts, computed once: for all epochs of a job, and for all jobs that share the parts."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cortigraph.regions.blueprint import Blueprint
from cortigraph.regions.pathway import Pathway

__all__ = ["FEATURES", "Features", "feature_keys"]

FEATURES = 2 << 30  # bytes that a trainer keeps from job to job, in each process


class Features:
    """Keeps tensors in memory, the ones not used for longest going first.

    What is kept follows from the sequence of calls alone, so that all ranks of a group hold the same.

    Args:
        limit: Bytes that may be kept.

    Example:
        >>> features = Features(limit=8)
        >>> features.put("a", torch.zeros(2)); features.put("b", torch.ones(1))
        >>> features.get("a") is None, features.get("b")
        (True, tensor([1.]))
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, Tensor] = OrderedDict()
        self._size = 0

    def get(self, key: str) -> Tensor | None:
        """What is kept under a key, or None."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: str, tensor: Tensor) -> None:
        """Keeps a tensor, unless it alone is too large."""
        if tensor.nbytes > self._limit or key in self._kept:
            return
        self._kept[key] = tensor
        self._size += tensor.nbytes
        while self._size > self._limit:
            self._size -= self._kept.popitem(last=False)[1].nbytes


def feature_keys(pathway: Pathway, references: Sequence[str], data: str) -> dict[str, str]:
    """What the value of each reference depends on, as a hash: data, wiring, arguments and the weights themselves.

    Args:
        pathway: The network.
        references: Outputs of frozen nodes.
        data: Names the samples, for instance fingerprint and split.
    """
    nodes = {node.name: node for node in pathway.blueprint.nodes}
    known: dict[str, str] = {}

    def key(reference: str) -> str:
        name, _, port = reference.partition(".")
        if not port:  # an input, which may have the name of a node
            return f"{data}/{name}"
        if name not in known:
            parts = [_content(pathway.blueprint, name, pathway.regions[name]), *map(key, nodes[name].inputs)]
            known[name] = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return f"{known[name]}/{port}"

    return {reference: key(reference) for reference in references}


def _content(blueprint: Blueprint, name: str, module: nn.Module) -> str:
    # Of the tensors, not of the declared hash: weights that a builder brings along, or draws, have none.
    region = blueprint.node(name).region
    digest = hashlib.sha256(f"{region.builder} {region.model_dump_json(include={'arguments'})}".encode())
    for tensor_name, tensor in sorted(module.state_dict().items()):
        digest.update(tensor_name.encode())
        digest.update(tensor.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()

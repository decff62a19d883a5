"""Checkpoints: network, optimizer and best state so far in one safetensors file, written whole or not at all.

Random numbers need not be kept: they are functions of seed, epoch and step.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

__all__ = ["Checkpoints", "optimizer_tensors"]

_NAME = "checkpoint.safetensors"


class Checkpoints:
    """The checkpoints of one job in its work folder. Only rank 0 writes.

    Args:
        work: The job's work folder; made when the first checkpoint is written.
        key: Of the job: a checkpoint of another job is not one.
        interval: Least seconds between two.
    """

    def __init__(self, work: Path, key: str, interval: float) -> None:
        self._file = work / _NAME
        self.key = key
        self._interval = interval
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether the interval has passed."""
        return time.monotonic() - self._last >= self._interval

    def write(self, tensors: Mapping[str, Tensor], told: dict[str, Any]) -> None:
        """Writes a checkpoint in the place of the one before.

        Args:
            tensors: All state that changes, by name.
            told: What else must be known, as JSON.
        """
        plain = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
        content = save(plain, metadata={"key": self.key, "told": json.dumps(told)})
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(".partial")
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(self._file)
        self._last = time.monotonic()

    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The last checkpoint of this job, or None where there is none that can be used."""
        try:
            with safe_open(self._file, framework="pt") as opened:
                metadata = opened.metadata() or {}
                if metadata.get("key") != self.key:
                    return None
                return {name: opened.get_tensor(name) for name in opened.keys()}, json.loads(metadata["told"])  # noqa: SIM118
        except (OSError, SafetensorError, ValueError, KeyError):
            return None

    def clear(self) -> None:
        """Removes the checkpoint, once the outcome is written."""
        self._file.unlink(missing_ok=True)


def optimizer_tensors(optimizer: Optimizer, named: Sequence[tuple[str, Parameter]]) -> dict[str, Tensor]:
    """The state of AdamW by parameter, made if no step was taken yet, so that it can be filled.

    Returns:
        `adam.regions.….exp_avg` … : the optimizer's own tensors, not copies.
    """
    tensors = {}
    for own, parameter in named:
        state = optimizer.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0, dtype=torch.float32)
            state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        tensors.update({f"adam.{own}.{name}": state[name] for name in ("step", "exp_avg", "exp_avg_sq")})
    return tensors

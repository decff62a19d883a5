"""Checkpoints: network, optimizer and best state so far in one safetensors file, written whole or not at all.

Random numbers need not be kept: they are functions of seed, epoch and step.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from cortigraph.graph.sums import DamagedError
from cortigraph.regions.weights import sealed, unsealed

__all__ = ["Checkpoints", "optimizer_tensors"]

_LOG = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of one job in its work folder, all written by one rank.

    Args:
        work: The job's work folder; made when the first checkpoint is written.
        key: Of the job: a checkpoint of another job is not one.
        interval: Least seconds between two.
        part: Where every rank writes its own part of the network, the number of this one: the last two are kept then,
            because a kill may come when some have written the newest and others have not.
    """

    def __init__(self, work: Path, key: str, interval: float, part: int | None = None) -> None:
        names = ["checkpoint"] if part is None else [f"checkpoint-{part}-{turn}" for turn in "ab"]
        self._files = [work / f"{name}.safetensors" for name in names]
        self._key = key
        self._interval = interval
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether the interval has passed."""
        return time.monotonic() - self._last >= self._interval

    def write(self, tensors: Mapping[str, Tensor], told: dict[str, Any]) -> None:
        """Writes a checkpoint in the place of the oldest.

        A disk that is full loses nothing but this checkpoint: the one before stays, and training goes on.

        Args:
            tensors: All state that changes, by name.
            told: What else must be known, as JSON.
        """
        content = sealed(tensors, {"key": self._key, "told": json.dumps(told)})
        file = self._files[0]
        partial = file.with_suffix(".partial")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(file)
            self._files.append(self._files.pop(0))
        except OSError as error:
            _LOG.warning("no checkpoint was written to %s: %s; the one before stays", file, error.strerror or error)
            with suppress(OSError):
                partial.unlink(missing_ok=True)
        self._last = time.monotonic()

    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The last checkpoint of this job, or None where there is none that can be used."""
        return next(iter(self.all()), None)

    def all(self) -> list[tuple[dict[str, Tensor], dict[str, Any]]]:
        """Every checkpoint of this job that can be used."""
        return [found for file in self._files if (found := self._read(file)) is not None]

    def _read(self, file: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        try:
            tensors, metadata = unsealed(file, {"key", "told"}, "the training begins anew")
            return (tensors, json.loads(metadata["told"])) if metadata.get("key") == self._key else None
        except DamagedError as error:
            _LOG.warning("%s", error)
            return None
        except (OSError, ValueError, KeyError):
            return None

    def clear(self) -> None:
        """Removes the checkpoints, once the outcome is written."""
        for file in self._files:
            file.unlink(missing_ok=True)


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

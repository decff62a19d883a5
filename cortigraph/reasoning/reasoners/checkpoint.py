"""Checkpoints: how far a training has come, in one file, so that one that was killed goes on after its last epoch.

The file says of which training it is: another one finds nothing in it, and begins anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cortigraph.graph.sums import DamagedError
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.regions.weights import sealed, unsealed, write_whole

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Checkpoint", "training_name"]

_HEADER = "cortigraph"
_LOG = logging.getLogger(__name__)


class Checkpoint:
    """Where the state of a training is kept.

    Args:
        path: Of the file.
        training: Which training; `training_name` says it.
    """

    def __init__(self, path: str | Path, training: str) -> None:
        self.path, self.training = Path(path), training

    def save(self, tensors: Mapping[str, Tensor], told: Mapping[str, Any]) -> None:
        """Keeps a state instead of the one before; a killed process leaves one of the two.

        Args:
            tensors: By name.
            told: Plain values.
        """
        header = json.dumps({"training": self.training, "told": dict(told)})
        write_whole(self.path, sealed(tensors, {_HEADER: header}))

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The last state of this training, if there is one."""
        if not self.path.is_file():
            return None
        try:
            tensors, told = unsealed(self.path, {_HEADER}, "the training begins anew")
            header = json.loads(told.get(_HEADER, "{}"))
        except DamagedError as error:
            _LOG.warning("%s", error)
            return None
        except ValueError:
            return None
        return (tensors, header["told"]) if header.get("training") == self.training else None

    def done(self) -> None:
        """Removes it: the training is over."""
        self.path.unlink(missing_ok=True)


def training_name(
    reasoner: str, settings: Mapping[str, Any], graphs: Sequence[tuple[Facts, Rows]], start: str = ""
) -> str:
    """A name that differs wherever a training would go another way.

    Args:
        reasoner: Its kind.
        settings: All of them.
        graphs: What it learns from, and what is held out of each.
        start: What it goes on from.
    """
    digest = hashlib.sha256(json.dumps([reasoner, dict(settings), start]).encode())
    for facts, held_out in graphs:
        for rows in (facts.triples, held_out):
            digest.update(np.ascontiguousarray(rows).tobytes())
        digest.update("\n".join([*facts.relations, *facts.entities]).encode())
    return digest.hexdigest()

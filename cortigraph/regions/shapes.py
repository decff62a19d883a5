"""Shapes: what a module emits for given inputs, found without computing anything.

emitted   the exact output ports
dry_run   the run on torch's meta device behind it
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cortigraph.graph.errors import CortigraphError, InputError, brief
from cortigraph.regions.ports import Port

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["dry_run", "emitted"]

# Two samples, so that a module that mixes up the batch with another axis of size one is found out.
_BATCH = 2


def emitted(module: nn.Module, inputs: Sequence[Port], emits: Sequence[Port], *, where: str) -> tuple[Port, ...]:
    """The exact output ports of a module, found by running it on torch's meta device.

    Args:
        module: Stays as it is; a copy without storage is run.
        inputs: What `forward` is given, every size known.
        emits: The declared outputs.
        where: How the module is called in the messages.

    Returns:
        Those of `emits` that the module emits, in that order, with every size known.

    Raises:
        InputError: The module can't take such inputs, or emits what is not declared.
    """
    try:
        outputs = dry_run(module, inputs)
    except CortigraphError:
        raise
    # A region's forward may be anybody's: there is no common base of what it raises.
    except Exception as error:
        told = ", ".join(map(str, inputs))
        raise InputError(
            f"{where} can't take {told}: {brief(error)}; give larger inputs or choose another region"
        ) from error
    undeclared = sorted(set(outputs) - {port.name for port in emits})
    if undeclared:
        raise InputError(f"{where} emits {', '.join(undeclared)}, which it does not declare; add them to `emits`")
    return tuple(port.sized(tuple(outputs[port.name].shape[1:])) for port in emits if port.name in outputs)


def dry_run(module: nn.Module, inputs: Sequence[Port]) -> Mapping[str, Tensor]:
    """Runs a module on torch's meta device: tensors have shapes, and nothing else.

    Args:
        module: Stays as it is; a copy without storage is run, in evaluation mode.
        inputs: What `forward` is given, every size known.

    Returns:
        What it emits for a batch of two.
    """
    import torch

    bare = _without_storage(module)
    with torch.no_grad():
        outputs: Mapping[str, Tensor] = bare(*(_meta(port) for port in inputs))
    return outputs


def _without_storage(module: nn.Module) -> nn.Module:
    import torch

    # Every parameter and buffer is replaced in the copy, so that not even large weights are copied.
    tensors = [*module.parameters(), *module.buffers()]
    memo = {
        id(t): torch.nn.Parameter(t.to("meta"), t.requires_grad) if isinstance(t, torch.nn.Parameter) else t.to("meta")
        for t in tensors
    }
    return copy.deepcopy(module, memo).eval()


def _meta(port: Port) -> Tensor:
    import torch

    if None in port.sizes:
        raise InputError(f"port {port.name!r} needs every size to be known; got {port}")
    dtype = torch.int64 if port.dtype == "int64" else torch.float32
    return torch.empty((_BATCH, *(size for size in port.sizes if size)), dtype=dtype, device="meta")

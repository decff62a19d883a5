"""Base of the adapters: a network that somebody else wrote, seen as a region.

Adapted   features and taps of the network; `logits` by its own classifier, or by a new linear head with `classes`
Recipe    how such a network is made again: builder, arguments, state, and the ports that it has
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from cortigraph.graph.errors import InputError
from cortigraph.regions.ports import Port

__all__ = ["Adapted", "Recipe", "pooled"]


class Adapted(nn.Module):
    """Base of the modules that the adapters' builders make; subclasses override `forward`.

    A state without a head loads into a module that has one: the head then keeps its initial values. So what was added
    with a classifier of its own can be given new classes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.head: nn.Linear | None = None
        self.dropped: frozenset[str] = frozenset()
        self.register_load_state_dict_post_hook(_pardon)  # type: ignore[no-untyped-call]

    def give_head(self, width: int, classes: int | None, dropped: Iterable[str] = ()) -> None:
        """Puts a new head over the features.

        Args:
            width: Of the features.
            classes: Of the logits; without it there is no head.
            dropped: Names in the state that belonged to the network's own classifier, which the head replaces.
        """
        self.head = None if classes is None else nn.Linear(width, classes)
        self.dropped = frozenset(dropped)

    def freeze(self, names: Iterable[str]) -> None:
        """Parameters that do not learn, whatever is trained around them."""
        parameters = dict(self.named_parameters(remove_duplicate=False))
        for name in names:
            if name in parameters:
                parameters[name].requires_grad_(False)


@dataclass(frozen=True)
class Recipe:
    """How a module is made again, in any process, without the code that it came from.

    Args:
        builder: A registered one.
        arguments: What it is called with; JSON values.
        state: The weights, by the names that they have in what the builder makes.
        accepts: The inputs.
        emits: The outputs.
        shapes: Typical shapes of the inputs, without the batch axis.
        example: Inputs on which it was compared with the module.
        licence: Where the module says it.
        told: What it is, where the module says it.
    """

    builder: str
    arguments: dict[str, Any]
    state: Mapping[str, Tensor]
    accepts: tuple[Port, ...]
    emits: tuple[Port, ...]
    shapes: tuple[tuple[int, ...], ...]
    example: tuple[Tensor, ...] = field(repr=False, default=())
    licence: str | None = None
    told: str = ""


def pooled(value: Tensor) -> Tensor:
    """One vector per sample: the mean over the places of a map [B, C, …], or over the steps of a sequence [B, T, C].

    Example:
        >>> import torch
        >>> [tuple(pooled(torch.zeros(2, *sizes)).shape) for sizes in ((5,), (5, 7, 7), (9, 5))]
        [(2, 5), (2, 5), (2, 5)]
    """
    if value.dim() < 2:
        raise InputError(f"expected an axis behind the batch axis, got the shape {tuple(value.shape)}")
    if value.dim() == 2:
        return value
    return value.mean(dim=1) if value.dim() == 3 else value.flatten(2).mean(dim=2)


def _pardon(module: nn.Module, keys: Any) -> None:
    """A head that the state does not know is new, and the classifier that it replaced is not missed."""
    assert isinstance(module, Adapted)
    head = {"head.weight", "head.bias"}
    if module.head is not None and head <= set(keys.missing_keys):
        keys.missing_keys[:] = [name for name in keys.missing_keys if name not in head]
        keys.unexpected_keys[:] = [name for name in keys.unexpected_keys if name not in module.dropped]

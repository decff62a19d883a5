"""Checks: what is wrong with a module or with its place, all of it, before anything is written."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cortigraph.graph.errors import InputError, brief
from cortigraph.regions import catalogue
from cortigraph.regions.ports import Port
from cortigraph.regions.region import Area

if TYPE_CHECKING:
    from cortigraph.graph.store import Store

__all__ = ["alone", "area_problems", "place_problems", "state_problems", "text_problems"]

_AREA = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_ID = re.compile(r"[0-9A-Za-z._-]{1,32}")


def place_problems(store: Store, area: str, name: str, derived_from: str | None) -> list[str]:
    """Why a region may not have this area, ID or origin; empty when it may."""
    problems = []
    if not _AREA.fullmatch(area):
        problems.append(f"area {area!r}: expected lower-case words joined by dots, such as vision.recognition")
    if not _ID.fullmatch(name):
        problems.append(f"id {name!r}: expected 1 to 32 of the characters 0-9 A-Z a-z . _ -")
    if derived_from is not None and derived_from not in [region.key for region in catalogue.regions(store)]:
        problems.append(f"derived_from {derived_from!r}: there is no such region; add it first, or leave this out")
    return problems


def text_problems(**told: object) -> list[str]:
    """What is no text of that which has to be.

    Example:
        >>> text_problems(id=5, licence=None)
        ["id: expected a text, got 5; write '5'"]
    """
    return [
        f"{name}: expected a text, got {value!r}; write {str(value)!r}"
        for name, value in told.items()
        if value is not None and not isinstance(value, str)
    ]


def state_problems(module: nn.Module) -> list[str]:
    """Why the tensors of a module can't be kept; empty when they can.

    Example:
        >>> state_problems(nn.Linear(2, 3, bias=False).half())[0]
        'weight is float16; give the module in full precision: module.float()'
    """
    found: dict[str, list[str]] = {}
    for name, value in _tensors(module):
        for problem in _wrong(value):
            found.setdefault(problem, []).append(name)
    problems = [f"{_few(names)} {problem}" for problem, names in found.items()]
    extra = [name for name, value in _state(module).items() if not isinstance(value, Tensor)]
    return problems + [f"{name} is no tensor, so it can't be kept; leave out get_extra_state" for name in extra]


def alone(module: nn.Module) -> nn.Module:
    """A copy on the CPU with contiguous tensors, so that the user's module stays as it is.

    Raises:
        InputError: The module can't be copied.
    """
    try:
        copied = copy.deepcopy(module).cpu()
    # Copying runs the code of whatever the module holds.
    except Exception as error:
        raise InputError(
            f"the module can't be copied ({brief(error)}); leave out what is neither tensor nor module"
        ) from error
    for value in (*copied.parameters(), *copied.buffers()):
        value.data = value.data.contiguous()
        value.grad = None
    return copied


def area_problems(area: Area, emits: tuple[Port, ...]) -> list[str]:
    """What an area promises and these outputs do not give; empty when they give all of it."""
    return [
        f"area {area.key}: every region of it gives {wanted.name} ({wanted}); this one gives "
        f"{', '.join(f'{port.name} ({port})' for port in emits)}; say emits=, or choose another area"
        for wanted in area.emits
        if not any(port.name == wanted.name and port.fits(wanted) for port in emits)
    ]


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _state(module: nn.Module) -> dict[str, object]:
    found: dict[str, object] = dict(module.state_dict())
    return found


def _few(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} (and {len(names) - 1} more like it)"


def _wrong(value: Tensor) -> list[str]:
    if nn.parameter.is_lazy(value):
        return ["has no size yet; run the module once before it is added"]
    if value.is_meta:
        return ["has no values (it is on the meta device); load its weights first"]
    if value.layout is not torch.strided or value.is_quantized:
        return ["is sparse or quantised; give the module in full precision"]
    if value.dtype in (torch.float16, torch.bfloat16, torch.float64):
        return [f"is {_dtype(value)}; give the module in full precision: module.float()"]
    if value.is_complex() or _dtype(value).startswith(("float8", "float4")):
        return [f"is {_dtype(value)}; a region's tensors are float32 or whole numbers"]
    if value.is_floating_point() and bool(value.isnan().any()):
        return ["has values that are no numbers (NaN); mend the weights, for instance train again"]
    return []


def _dtype(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")

"""Freedom: which axes of a module's inputs are really of any size. Found by trying, as no declaration can be trusted.

Axes stay free only where every size that is tried works: what takes multiples of 32 alone, sizes above a least one, or
squares alone is declared at the sizes of its example, and never claims more than it can do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from cortigraph.regions.ports import Port

__all__ = ["Free", "fixed", "free_axes", "settled", "sizes", "trials"]

_Place = tuple[int, int]  # of an axis: input, axis of the tensor
Free = tuple[_Place, ...]  # what is of any size, and of the same one in several inputs


def settled(run: Callable[..., Any], ports: Sequence[Port], example: Sequence[Tensor]) -> tuple[Port, ...]:
    """The ports as they are declared if their free axes are free, else at the sizes of the example.

    Args:
        run: The module, or what runs it: raises where inputs do not suit it.
        ports: As declared.
        example: Inputs that suit it, batch axis first.

    Example:
        >>> port = Port.parse("image", "image[channel=1,height=*,width=*] float32 raw")
        >>> flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
        >>> str(settled(flat, [port], [torch.zeros(2, 1, 8, 8)])[0])
        'image[channel=1,height=8,width=8] float32 raw'
    """
    if _works(run, example, free_axes(ports, example)):
        return tuple(ports)
    return tuple(fixed(port, value) for port, value in zip(ports, example, strict=True))


def fixed(port: Port, value: Tensor) -> Port:
    """The port at the sizes of a tensor."""
    return port.sized(tuple(value.shape[1:]))


def free_axes(ports: Sequence[Port], example: Sequence[Tensor]) -> list[Free]:
    """The axes that are declared free; those of one name and size in several inputs, as of words and their mask, go
    together."""
    found: dict[tuple[str, int], list[_Place]] = {}
    for number, (port, value) in enumerate(zip(ports, example, strict=True)):
        for place, axis in enumerate(port.axes, start=1):
            if axis.size is None:
                found.setdefault((axis.name, value.shape[place]), []).append((number, place))
    return [tuple(places) for places in found.values()]


def sizes(size: int) -> list[int]:
    """The sizes that are tried beside the example's: smaller and larger, odd and even, by one and by half.

    Example:
        >>> sizes(28), sizes(1)
        ([14, 27, 29, 42], [2])
    """
    return sorted({size // 2, size - 1, size + 1, size + (size + 1) // 2} - {0, size})


def trials(example: Sequence[Tensor], free: Sequence[Free]) -> list[tuple[Tensor, ...]]:
    """The example at other sizes of the free axes; several axes at once have different ones.

    Its values are cut or repeated, so that identifiers of words, say, stay those that it has.
    """
    tried = [sizes(example[axis[0][0]].shape[axis[0][1]]) for axis in free]
    found = []
    for turn in range(max(map(len, tried), default=0)):
        some = list(example)
        for number, (axis, known) in enumerate(zip(free, tried, strict=True)):
            size = known[(turn + number) % len(known)]
            for n, place in axis:
                some[n] = some[n].index_select(place, torch.arange(size) % some[n].shape[place])
        found.append(tuple(some))
    return found


def _works(run: Callable[..., Any], example: Sequence[Tensor], free: Sequence[Free]) -> bool:
    for some in trials([value[:2] for value in example], free):
        try:
            with torch.no_grad():
                run(*some)
        # Whatever a user's forward does with sizes that it can't take, it may raise.
        except Exception:
            return False
    return True

"""Inputs: which ports a plain module has, and tensors to run it on.

given     ports and an example, from what the user gave, else from the area
told      a port for a tensor, by its shape
outputs   ports for what a module gave
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from cortigraph.graph.errors import InputError
from cortigraph.regions.ports import Axis, Dtype, Modality, Port, Semantics

__all__ = ["Given", "as_example", "as_ports", "drawn", "given", "output_port"]

Given = Sequence[Port] | Mapping[str, str | Port] | None

# What an axis of any size is drawn at.
_FREE = 32
_PORT_NAME = re.compile(r"[a-z][a-z0-9_]*")
_IMAGE_AXES = ("channel", "height", "width")
_ASK = "give example=, the tensors that forward takes (batch axis first)"


def as_ports(told: Given) -> tuple[Port, ...] | None:
    """Ports as a user gives them: as such, or name → one-line form.

    Raises:
        InputError: A line is no port.

    Example:
        >>> [str(port) for port in as_ports({"x": "any[feature=4] float32 features"})]
        ['any[feature=4] float32 features']
    """
    if told is None:
        return None
    if not isinstance(told, Mapping):
        ports = () if isinstance(told, str) else tuple(told)
        if not ports or not all(isinstance(port, Port) for port in ports):
            raise InputError(
                f"expected ports as a dict, such as {{'image': 'image[channel=1,height=*,width=*] float32 raw'}}; "
                f"got {told!r}"
            )
        return ports
    lines = {name: port if isinstance(port, Port) else Port.parse(name, port) for name, port in told.items()}
    return tuple(port.model_copy(update={"name": name}) for name, port in lines.items())


def as_example(told: object) -> tuple[Tensor, ...] | None:
    """An example as a user gives it: one tensor, or those of all inputs in the order of `forward`.

    Raises:
        InputError: It is something else.

    Example:
        >>> [value.shape for value in as_example(torch.zeros(2, 4))]
        [torch.Size([2, 4])]
    """
    if told is None or isinstance(told, Tensor):
        return None if told is None else (told,)
    if isinstance(told, list | tuple):
        return tuple(told)
    wanted = f"({', '.join(map(str, told))})" if isinstance(told, Mapping) else "torch.as_tensor(…)"
    got = type(told).__name__
    raise InputError(
        f"example: expected a tensor, or a tuple of them in the order of forward; got {got}; give {wanted}"
    )


def given(
    module: nn.Module, example: Sequence[Tensor] | None, accepts: Sequence[Port] | None, area: Sequence[Port]
) -> tuple[tuple[Port, ...], tuple[Tensor, ...]]:
    """The input ports and an example for them, two samples or more.

    Args:
        module: Its `forward` names inputs that nothing else names.
        example: What the user gave.
        accepts: What the user says of the inputs; an axis of any size is then free in what is exported.
        area: What the area says of them.

    Raises:
        InputError: Nothing tells the inputs, or they contradict each other.
    """
    if example is None:
        ports = tuple(accepts or area)
        if not ports:
            raise InputError(f"nothing tells what the module takes; {_ASK}, or accepts=")
        return ports, tuple(drawn(port, number) for number, port in enumerate(ports))
    problems = [problem for number, value in enumerate(example) for problem in _wrong(value, number)]
    if problems:
        raise InputError(problems)
    many = tuple(value.detach().cpu().repeat(2, *[1] * (value.dim() - 1)) if len(value) == 1 else value.detach().cpu()
                 for value in example)  # fmt: skip
    if accepts is not None:
        return _fitting(accepts, many), many
    return _told(module, many, area), many


def drawn(port: Port, seed: int = 0, count: int = 3) -> Tensor:
    """Random samples for a port; of whole numbers, small ones."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [size or _FREE for size in port.sizes]
    if port.dtype == "int64":
        return torch.randint(0, 2, (count, *sizes), generator=generator)
    return torch.randn(count, *sizes, generator=generator)


def output_port(name: str, value: Tensor, modality: Modality) -> Port:
    """The port of an output, by its shape: features, a map, logits, or raw where it is neither.

    Example:
        >>> str(output_port("map", torch.zeros(2, 8, 7, 7), "image"))
        'image[channel=8,height=*,width=*] float32 map'
    """
    rest = tuple(value.shape[1:])
    axes: tuple[tuple[str, int | None], ...]
    semantics: Semantics = "raw"
    if name == "logits" and len(rest) == 1:
        axes, semantics = (("class", None),), "logits"
    elif len(rest) == 1:
        axes, semantics = (("feature", rest[0]),), "features"
    elif len(rest) == 2:
        axes = (("step", None), ("feature", rest[1]))
    else:
        names = _IMAGE_AXES if len(rest) == 3 else [f"axis{number}" for number in range(1, len(rest) + 1)]
        axes = tuple((axis, size if place == 0 else None) for place, (axis, size) in enumerate(zip(names, rest)))  # noqa: B905
        semantics = "map" if rest else "raw"
    dtype: Dtype = "int64" if value.dtype == torch.int64 else "float32"
    semantics = "raw" if dtype == "int64" else semantics
    told = tuple(Axis(name=axis, size=size) for axis, size in axes)
    return Port(name=name, modality=modality, axes=told, dtype=dtype, semantics=semantics)


def _wrong(value: Tensor, number: int) -> list[str]:
    where = f"example, input {number + 1}"
    if not isinstance(value, Tensor):
        return [f"{where}: expected a tensor, got {type(value).__name__}"]
    if value.dtype not in (torch.float32, torch.int64):
        return [f"{where}: expected float32 or int64, got {str(value.dtype).removeprefix('torch.')}; convert it"]
    if value.dim() == 0 or len(value) == 0:
        return [f"{where}: expected a batch axis with one sample or more, got the shape {tuple(value.shape)}"]
    return []


def _fitting(ports: Sequence[Port], example: Sequence[Tensor]) -> tuple[Port, ...]:
    if len(ports) != len(example):
        raise InputError(f"accepts has {len(ports)} ports, but the example has {len(example)} tensors; one per input")
    for port, value in zip(ports, example, strict=True):
        port.sized(tuple(value.shape[1:]))
    return tuple(ports)


def _told(module: nn.Module, example: Sequence[Tensor], area: Sequence[Port]) -> tuple[Port, ...]:
    names = _names(module, len(example))
    alike = len(area) == len(example) and all(
        len(port.axes) == value.dim() - 1 and (port.dtype == "int64") == (value.dtype == torch.int64)
        for port, value in zip(area, example, strict=True)
    )
    if alike:
        return tuple(_resized(port, value) for port, value in zip(area, example, strict=True))
    return tuple(_port(name, value) for name, value in zip(names, example, strict=True))


def _resized(port: Port, value: Tensor) -> Port:
    """The area's port with the example's sizes where the area fixes another, as for three channels and not one."""
    axes = tuple(
        Axis(name=axis.name, size=None if axis.size is None else int(size))
        for axis, size in zip(port.axes, value.shape[1:], strict=True)
    )
    return port.model_copy(update={"axes": axes})


def _port(name: str, value: Tensor) -> Port:
    sizes, dtype = tuple(value.shape[1:]), "int64" if value.dtype == torch.int64 else "float32"
    names: tuple[str, ...]
    if dtype == "int64" and len(sizes) in (1, 2):
        names, modality = (("token",) if len(sizes) == 1 else ("row", "token")), "text"
    elif dtype == "float32" and len(sizes) == 3:
        names, modality = _IMAGE_AXES, "image"
    else:
        names = ("feature",) if len(sizes) == 1 else tuple(f"axis{number}" for number in range(1, len(sizes) + 1))
        modality = "any"
    semantics = "features" if names == ("feature",) and dtype == "float32" else "raw"
    # Of any size, as the area that will be made of it: what it really takes is found by trying.
    inside = ",".join(f"{axis}=*" for axis in names)
    return Port.parse(name, f"{modality}[{inside}] {dtype} {semantics}")


def _names(module: nn.Module, count: int) -> list[str]:
    told = [name.lower() for name in inspect.signature(module.forward).parameters]
    if len(told) >= count and all(_PORT_NAME.fullmatch(name) for name in told[:count]) and "args" not in told:
        return told[:count]
    return [f"input{number}" for number in range(1, count + 1)]

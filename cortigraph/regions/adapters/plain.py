"""Plain modules: any `torch.nn.Module`, as a program or by a builder that the user registered."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cortigraph.graph.errors import InputError, brief
from cortigraph.regions import builders
from cortigraph.regions.adapters.alike import differences, loaded
from cortigraph.regions.adapters.base import Recipe, pooled
from cortigraph.regions.adapters.export import Flat, exported, named_outputs
from cortigraph.regions.adapters.freedom import fixed, settled
from cortigraph.regions.adapters.inputs import given, output_port
from cortigraph.regions.adapters.program import Graph
from cortigraph.regions.ports import Modality, Port

__all__ = ["Wanted", "built_recipe", "recipe"]

_PORT_NAME = re.compile(r"[a-z][a-z0-9_]*")
_BY_AXES = {2: "vector", 3: "sequence"}


@dataclass(frozen=True)
class Wanted:
    """What the user and the area say of a module.

    Args:
        example: Inputs, with the batch axis.
        accepts: The input ports, from the user.
        emits: The output ports, from the user: in the module's order, or by its own names.
        area: The input ports, from the area.
        frozen: Parameters that do not learn.
    """

    example: tuple[Tensor, ...] | None = None
    accepts: tuple[Port, ...] | None = None
    emits: tuple[Port, ...] | None = None
    area: tuple[Port, ...] = ()
    frozen: tuple[str, ...] = ()


def recipe(module: nn.Module, wanted: Wanted) -> Recipe:
    """How a plain module is made again, as a program.

    Args:
        module: On the CPU, in full precision; its mode is left changed.
        wanted: What is said of it.

    Raises:
        InputError: Its inputs are unknown, it can't be run or exported, or gives what no port can carry.
    """
    ports, example = given(module, wanted.example, wanted.accepts, wanted.area)
    outputs = _run(module, example)
    names = _renamed(outputs, wanted.emits)
    ports = settled(_unlike(module, outputs), ports, example)
    ports, program, state = _program(module, ports, example, list(outputs), wanted.accepts is not None)
    source = _features(dict(zip(names, outputs.values(), strict=True)))
    width = pooled(outputs[list(outputs)[names.index(source)]]).shape[1]
    arguments: dict[str, Any] = {"program": program, "outputs": names, "features": source, "width": width}
    arguments |= {"frozen": list(wanted.frozen)} if wanted.frozen else {}
    again = Graph(**arguments)
    # Copied before the comparison, which trains a little.
    state = {f"network.{name}": value.detach().clone() for name, value in state.items()}
    again.load_state_dict(state)
    flat = Flat(module, list(outputs))
    _same(flat, again.network, example)
    ports = settled(_alike(flat, again.network), ports, example)
    return Recipe(
        builder="graph",
        arguments=arguments,
        state=state,
        accepts=ports,
        emits=_emits(dict(zip(names, outputs.values(), strict=True)), width, _modality(ports), wanted.emits),
        shapes=tuple(tuple(value.shape[1:]) for value in example),
        example=example,
        told=f"{type(module).__name__}, a module of PyTorch",
    )


def built_recipe(module: nn.Module, builder: str, arguments: dict[str, Any], wanted: Wanted) -> Recipe:
    """How a module is made again by a builder that the user registered.

    Args:
        module: As that builder makes it, perhaps trained since.
        builder: Its name.
        arguments: What it is called with.
        wanted: What is said of the module.

    Raises:
        UnknownKeyError: There is no such builder.
        InputError: It does not make this module, or the module does not give a dict from port name to tensor.
    """
    found = builders.get(builder)
    with torch.random.fork_rng(devices=[]):
        again = found.build(**arguments)
    ports, example = given(module, wanted.example, wanted.accepts, wanted.area)
    if not isinstance(_answer(module, example), Mapping):
        raise InputError(f"builder {builder!r}: expected a module that gives a dict from port to tensor")
    outputs = _run(module, example)
    state = {name: value.detach().clone() for name, value in module.state_dict().items()}
    problems = loaded(module, again) or differences(module, again, lambda each: each(*example))
    if problems:
        raise InputError([f"builder {builder!r} does not make this module again: {problem}" for problem in problems])
    emits = wanted.emits or tuple(output_port(name, value, _modality(ports)) for name, value in outputs.items())
    if "classes" in inspect.signature(found.function).parameters and "logits" not in [port.name for port in emits]:
        emits = (*emits, Port.parse("logits", f"{_modality(ports)}[class=*] float32 logits"))
    ports = settled(_unlike(module, outputs), ports, example)
    shapes = tuple(tuple(value.shape[1:]) for value in example)
    return Recipe(builder, arguments, state, ports, emits, shapes, example, told=type(module).__name__)


def _run(module: nn.Module, example: Sequence[Tensor]) -> dict[str, Tensor]:
    """What it gives for the example, once that is known to be what ports can carry."""
    outputs = named_outputs(_answer(module, example))
    problems = [problem for name, value in outputs.items() for problem in _wrong(name, value, len(example[0]))]
    if not problems and not any(value.dim() > 1 and value.dtype == torch.float32 for value in outputs.values()):
        problems.append("forward gives no float32 tensor of shape (batch, …) that could be features")
    if problems:
        raise InputError(problems)
    return outputs


def _answer(module: nn.Module, example: Sequence[Tensor]) -> Any:
    """Whatever forward gives for the example."""
    module.eval()
    shapes = ", ".join(str(tuple(value.shape)) for value in example)
    try:
        with torch.no_grad():
            return module(*example)
    # Whatever forward raises is told to the user.
    except Exception as error:
        raise InputError(
            f"forward can't take inputs of the shapes {shapes} ({brief(error)}); "
            "give example=, the tensors that it takes (batch axis first)"
        ) from error


def _wrong(name: str, value: Tensor, count: int) -> list[str]:
    if value.is_nested or value.layout is not torch.strided:
        return [f"output {name!r} is nested or sparse; make a plain tensor of it in forward, for instance padded"]
    if value.dtype not in (torch.float32, torch.int64):
        dtype = str(value.dtype).removeprefix("torch.")
        return [f"output {name!r}: expected float32 or int64, got {dtype}; convert it in forward"]
    if value.dim() == 0 or len(value) != count:
        return [f"output {name!r}: expected the batch axis first, for {count} samples; got {tuple(value.shape)}"]
    if value.is_floating_point() and not bool(value.isfinite().all()):
        return [f"output {name!r} is not finite for the example; give another example, or mend the weights"]
    return []


def _renamed(outputs: Mapping[str, Tensor], emits: Sequence[Port] | None) -> list[str]:
    """The outputs' names as ports: the user's, else their own where they can be ports."""
    told = [port.name for port in emits or ()]
    if emits is not None and not set(outputs) <= set(told):
        if len(told) != len(outputs):
            raise InputError(
                f"emits names {', '.join(told)}, but forward gives {', '.join(outputs)}; name each of them"
            )
        return told
    if emits is not None:
        return list(outputs)
    return [_port_name(name, value, number) for number, (name, value) in enumerate(outputs.items(), start=1)]


def _port_name(name: str, value: Tensor, number: int) -> str:
    if name in ("features", "logits") and (value.dim() != 2 or value.dtype != torch.float32):
        return f"{name}_{_BY_AXES.get(value.dim(), 'map')}"
    return name if _PORT_NAME.fullmatch(name) else f"output{number}"


def _features(outputs: Mapping[str, Tensor]) -> str:
    """The output that features are taken from: what is called so, else the last that is not logits, else the last."""
    able = [name for name, value in outputs.items() if value.dim() > 1 and value.dtype == torch.float32]
    if "features" in able:
        return "features"
    return next((name for name in reversed(able) if name != "logits"), able[-1])


def _program(
    module: nn.Module, ports: tuple[Port, ...], example: tuple[Tensor, ...], names: Sequence[str], strict: bool
) -> tuple[tuple[Port, ...], dict[str, Any], dict[str, Tensor]]:
    """The program, and the ports with the sizes that it takes: those of the example where it can take no other."""
    free = [[0, *(place for place, size in enumerate(port.sizes, start=1) if size is None)] for port in ports]
    try:
        return ports, *exported(module, example, names, free)
    except InputError:
        if strict or all(len(axes) == 1 for axes in free):
            raise
    ports = tuple(fixed(port, value) for port, value in zip(ports, example, strict=True))
    return ports, *exported(module, example, names, [[0] for _ in ports])


def _unlike(module: nn.Module, outputs: Mapping[str, Tensor]) -> Callable[..., None]:
    """Runs the module, and fails where it gives other ports than it did: features of another width are others."""
    told = _told(outputs)

    def run(*inputs: Tensor) -> None:
        got = _told(named_outputs(module(*inputs)))
        if got != told:
            raise InputError(f"it gives {got} for another size, and not {told}")

    return run


def _told(outputs: Mapping[str, Tensor]) -> dict[str, tuple[str, int]]:
    return {
        name: (str(output_port(name, value, "any")), pooled(value).shape[1] if value.dim() > 1 else 0)
        for name, value in outputs.items()
    }


def _alike(flat: nn.Module, again: nn.Module) -> Callable[..., None]:
    """Runs the module and what was made of it: of a forward that looks at sizes, a program may know one way alone."""

    def run(*inputs: Tensor) -> None:
        problems = differences(flat, again, lambda each: each(*inputs), modes=("evaluation",))
        if problems:
            raise InputError(problems)

    return run


def _same(flat: nn.Module, again: nn.Module, example: tuple[Tensor, ...]) -> None:
    problems: list[str] = []
    # Also for one sample and for more of them: a number of samples that was taken for a constant shows here.
    for rows in (slice(None), slice(0, 1), [0, 1, 0, 1, 0]):
        some = tuple(value[rows] for value in example)
        problems += differences(flat, again, lambda each, some=some: each(*some))  # type: ignore[misc]
    if problems:
        told = "; ".join(dict.fromkeys(problems))
        raise InputError(
            f"as a graph of operations the module computes something else ({told}): perhaps forward depends on values, "
            "or on what is outside of it; register a builder for it and say builder="
        )


def _modality(ports: Sequence[Port]) -> Modality:
    found = {port.modality for port in ports}
    return found.pop() if len(found) == 1 else "any"


def _emits(
    outputs: Mapping[str, Tensor], width: int, modality: Modality, told: Sequence[Port] | None
) -> tuple[Port, ...]:
    known = {port.name: port for port in told or ()}
    ports = {name: known.get(name) or output_port(name, value, modality) for name, value in outputs.items()}
    for name, text in (("features", f"feature={width}"), ("logits", "class=*")):
        ports.setdefault(name, known.get(name) or Port.parse(name, f"{modality}[{text}] float32 {name}"))
    return tuple(ports.values())

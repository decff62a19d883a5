"""Programs: networks as plain data, run without the code that they came from. The builder `graph` makes them.

    {"inputs": 1,
     "state": [{"name": "fc.weight", "kind": "parameter", "shape": [3, 4], "dtype": "float32"}, …],
     "tied": {"decoder.weight": "encoder.weight"},
     "eval": {"steps": [["aten.linear.default", [{"%": 0}, {"%": 1}, {"%": 2}], {}], …], "outputs": [{"%": 3}]},
     "train": …}

`{"%": n}` names a value: the inputs come first, then the state, then what each step gives. `train` is there when
training computes something else, as it does with dropout and batch normalisation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

import torch
from pydantic import Field, JsonValue
from torch import Tensor, nn

from cortigraph.graph.errors import InputError
from cortigraph.regions.adapters.base import Adapted, pooled
from cortigraph.regions.adapters.operations import operation
from cortigraph.regions.builders import builder

__all__ = ["DTYPES", "FORMATS", "Graph", "Program", "graph"]

_Count = Annotated[int, Field(ge=1)]
DTYPES: dict[str, torch.dtype] = {
    name: getattr(torch, name)
    for name in ("float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64")
}
FORMATS: dict[str, torch.memory_format] = {
    name: getattr(torch, name) for name in ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d")
}


class Program(nn.Module):
    """Runs a program; its parameters and buffers have the names that they had in the module that it came from.

    Args:
        program: As told in the docstring of this file.

    Raises:
        InputError: The program is damaged, or uses an operation that it may not.
    """

    def __init__(self, program: Mapping[str, Any]) -> None:
        super().__init__()
        try:
            names = [entry["name"] for entry in program["state"]]
            for entry in program["state"]:
                if entry["name"] not in program["tied"]:
                    _register(self, entry["name"], _fresh(entry))
            for name, origin in program["tied"].items():
                _register(self, name, _value(self, origin))
            first = program["inputs"] + len(names)
            codes = {mode: _Code.read(program[mode], first) for mode in ("eval", "train") if mode in program}
            self._evaluating, self._training = codes["eval"], codes.get("train", codes["eval"])
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise InputError(f"the program of a region is damaged ({error!r}); add the module again") from error
        self._names, self._count = tuple(names), int(program["inputs"])

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs, in the program's order."""
        if len(inputs) != self._count:
            raise InputError(f"expected {self._count} inputs, got {len(inputs)}")
        code = self._training if self.training else self._evaluating
        return code.run([*inputs, *(_value(self, name) for name in self._names)])


class Graph(Adapted):
    """A program as a region.

    Args:
        program: What it computes.
        outputs: The names of what the program gives, in order.
        features: The output whose mean over places or steps is the features, unless one is called `features`.
        width: Of the features.
        classes: Of a new head's logits; without it, logits are what the program itself calls so.
        frozen: Parameters that do not learn.
    """

    def __init__(
        self,
        program: Mapping[str, Any],
        outputs: Sequence[str],
        features: str,
        width: int,
        classes: int | None = None,
        frozen: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.network = Program(program)
        self.outputs, self.features = tuple(outputs), features
        self.give_head(width, classes)
        self.freeze([f"network.{name}" for name in frozen])

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """The program's outputs by name, `features` [B, width] and, with a head, its `logits` [B, classes]."""
        outputs = dict(zip(self.outputs, self.network(*inputs), strict=True))
        outputs.setdefault("features", pooled(outputs[self.features]))
        if self.head is not None:
            outputs["logits"] = self.head(outputs["features"])
        return outputs


@builder("graph")
def graph(
    program: dict[str, JsonValue],
    outputs: list[str],
    features: str,
    width: _Count,
    classes: _Count | None = None,
    frozen: list[str] = [],  # noqa: B006 (read only; None would have to be told apart)
) -> nn.Module:
    """A network that was taken from a module, as data."""
    return Graph(program, outputs, features, width, classes, frozen)


@dataclass(frozen=True)
class _Code:
    """Steps that are ready to run, and after each the values that nothing reads any more."""

    steps: tuple[tuple[Callable[..., Any], Any, dict[str, Any], tuple[int, ...]], ...]
    outputs: tuple[int, ...]

    @classmethod
    def read(cls, told: Mapping[str, Any], first: int) -> Self:
        steps, last = [], {}
        for place, (name, arguments, options) in enumerate(told["steps"]):
            for index in _references([arguments, options]):
                if not 0 <= index < first + place:
                    raise IndexError(f"step {place} reads the value {index}")
                last[index] = place
            steps.append((operation(name), _Ready.of(arguments), {k: _Ready.of(v) for k, v in options.items()}))
        outputs = tuple(entry["%"] for entry in told["outputs"])
        if any(not 0 <= index < first + len(steps) for index in outputs):
            raise IndexError(f"the outputs {outputs} are not among the values")
        done: dict[int, list[int]] = {}
        for index, place in last.items():
            if index not in outputs:
                done.setdefault(place, []).append(index)
        return cls(tuple((*step, tuple(done.get(place, ()))) for place, step in enumerate(steps)), outputs)

    def run(self, values: list[Any]) -> tuple[Tensor, ...]:
        device = values[0].device
        for function, arguments, options, done in self.steps:
            given = {name: _given(value, values, device) for name, value in options.items()}
            values.append(function(*_given(arguments, values, device), **given))
            for index in done:
                values[index] = None
        return tuple(values[index] for index in self.outputs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


@dataclass(frozen=True)
class _Ready:
    """A place in the arguments that is filled when the program runs: a value, or the device of the inputs."""

    index: int | None

    @classmethod
    def of(cls, told: Any) -> Any:
        """Arguments as they are given to an operation, but for such places."""
        if isinstance(told, list):
            return [cls.of(part) for part in told]
        if not isinstance(told, dict):
            return told
        ((kind, value),) = told.items()
        if kind == "%":
            return cls(value)
        if kind == "device":
            return cls(None)
        known: dict[str, Mapping[str, Any]] = {
            "dtype": DTYPES,
            "memory_format": FORMATS,
            "layout": {"strided": torch.strided},
            "float": {"inf": math.inf, "-inf": -math.inf, "nan": math.nan},
        }
        return known[kind][value]


def _given(told: Any, values: list[Any], device: torch.device) -> Any:
    if isinstance(told, _Ready):
        return device if told.index is None else values[told.index]
    return [_given(part, values, device) for part in told] if isinstance(told, list) else told


def _references(told: Any) -> list[int]:
    if isinstance(told, dict):
        return [told["%"]] if "%" in told else [n for part in told.values() for n in _references(part)]
    return [n for part in told for n in _references(part)] if isinstance(told, list) else []


def _fresh(entry: Mapping[str, Any]) -> Tensor:
    value = torch.zeros(entry["shape"], dtype=DTYPES[entry["dtype"]])
    return nn.Parameter(value) if entry["kind"] == "parameter" else value


def _register(root: nn.Module, name: str, value: Tensor) -> None:
    *path, last = name.split(".")
    for part in path:
        if part not in root._modules:
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    if isinstance(value, nn.Parameter):
        root.register_parameter(last, value)
    else:
        root.register_buffer(last, value)


def _value(root: nn.Module, name: str) -> Tensor:
    *path, last = name.split(".")
    for part in path:
        found = root._modules[part]
        assert found is not None
        root = found
    value = {**root._parameters, **root._buffers}[last]
    assert value is not None
    return value

"""Export: a plain `torch.nn.Module` to a program, by `torch.export`, once for evaluation and once for training.

flat        a module whose outputs are a tuple of tensors, whatever they were, and their names
exported    module → program and state
"""

from __future__ import annotations

import logging
import math
import operator
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import torch
from torch import Tensor, fx, nn

from cortigraph.graph.errors import InputError, brief
from cortigraph.regions.adapters.operations import SCALAR, operation
from cortigraph.regions.adapters.program import DTYPES, FORMATS

__all__ = ["Flat", "exported", "named_outputs"]

# They check what the compiler assumes; a program is run as it is.
_CHECKS = ("_assert", "sym_constrain_range", "_functional_sym_constrain_range", "_functional_assert")
_BUILDER = (
    'register a builder for it and say builder="mine", arguments={…} (docs/regions.md): '
    '@cortigraph.regions.builder("mine") over a function that returns the module'
)
_CONSTANTS = "_constants"


class Flat(nn.Module):
    """A module whose outputs are a tuple of tensors, in the order of their names.

    Args:
        module: Any whose outputs `named_outputs` knows.
        names: Of the outputs that are wanted.
    """

    def __init__(self, module: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.module = module
        self.names = tuple(names)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The wanted outputs."""
        outputs = named_outputs(self.module(*inputs))
        missing = [name for name in self.names if name not in outputs]
        if missing:
            raise InputError(
                f"forward gives {', '.join(self.names)} in evaluation, but {', '.join(outputs)} in training"
            )
        return tuple(outputs[name] for name in self.names)


def named_outputs(outputs: Any) -> dict[str, Tensor]:
    """What a module gave, by name: a mapping's keys, or `features`, `map`, `sequence` by the number of axes.

    Raises:
        InputError: It is neither a tensor, nor a mapping or a tuple of tensors.

    Example:
        >>> list(named_outputs(torch.zeros(2, 5))), list(named_outputs((torch.zeros(2, 5), torch.zeros(2, 3))))
        (['features'], ['output1', 'output2'])
    """
    if isinstance(outputs, Tensor):
        return {{2: "features", 3: "sequence"}.get(outputs.dim(), "map"): outputs}
    if isinstance(outputs, Mapping):
        named = {str(name): value for name, value in outputs.items() if value is not None}
    elif isinstance(outputs, tuple | list):
        named = {f"output{number}": value for number, value in enumerate(outputs, start=1) if value is not None}
    else:
        named = {}
    wrong = sorted({type(value).__name__ for value in named.values() if not isinstance(value, Tensor)})
    if wrong or not named:
        got = f"{type(outputs).__name__} of {', '.join(wrong) or 'nothing'}"
        raise InputError(f"expected a tensor, or a dict or tuple of tensors, from forward; got {got}; wrap the module")
    return named


def exported(
    module: nn.Module, inputs: Sequence[Tensor], outputs: Sequence[str], free: Sequence[Sequence[int]]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A module as a program.

    Args:
        module: On the CPU, every tensor contiguous; its mode is left changed.
        inputs: An example, with two samples or more.
        outputs: The names of the outputs that are wanted.
        free: Per input, the axes of any size; 0 is the batch axis.

    Returns:
        The program, and the state that it needs.

    Raises:
        InputError: The module can't be written down so; the message says what to do instead.
    """
    state, tied = _state(module)
    constants: dict[str, Tensor] = {}
    modes = {}
    for mode in ("eval", "train"):
        module.train(mode == "train")
        found = _traced(Flat(module, outputs), inputs, free)
        modes[mode] = _Writer(found, len(inputs), state, constants).code(found)
    # Found only now: constants come from both, and lie behind the module's own tensors.
    total = {**state, **constants}
    modes = {mode: _settled(code, len(inputs), list(total)) for mode, code in modes.items()}
    if modes["train"] == modes["eval"]:
        del modes["train"]
    entries = [_entry(name, value) for name, value in total.items()]
    return {"inputs": len(inputs), "state": entries, "tied": tied, **modes}, total


def _state(module: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    parameters = dict(module.named_parameters(remove_duplicate=False))
    state: dict[str, Tensor] = {**parameters, **dict(module.named_buffers(remove_duplicate=False))}
    first: dict[int, str] = {}
    tied = {}
    for name, value in state.items():
        if first.setdefault(id(value), name) != name:
            tied[name] = first[id(value)]
    return state, tied


def _traced(flat: nn.Module, inputs: Sequence[Tensor], free: Sequence[Sequence[int]]) -> Any:
    # Any size: bounds, as those of a table of positions, are met when the program is run.
    shapes = (tuple(dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in free),)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()), _unsaid():
            warnings.simplefilter("ignore")
            found = torch.export.export(flat, tuple(inputs), dynamic_shapes=shapes, strict=False)
            found.graph.eliminate_dead_code()
            return found
    # Whatever a user's forward does, the tracer may raise: there is no common base of its errors.
    except Exception as error:
        raise InputError(f"the module can't be taken as a graph of operations ({brief(error)}); {_BUILDER}") from error


@contextmanager
def _unsaid() -> Iterator[None]:
    """Without what torch logs of a flow that depends on data: the error says it."""
    logger = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


class _Writer:
    """Writes the graph of one mode as steps; references to constants stay names until all are known."""

    def __init__(self, found: Any, inputs: int, state: Mapping[str, Tensor], constants: dict[str, Tensor]) -> None:
        self.values: dict[fx.Node, Any] = {}
        self.problems: list[str] = []
        self.constants = constants
        places = {name: inputs + number for number, name in enumerate(state)}
        told = {spec.arg.name: spec for spec in found.graph_signature.input_specs}
        number = 0
        for node in found.graph.find_nodes(op="placeholder"):
            spec = told[node.name]
            own = str(spec.target).removeprefix("module.")
            if spec.target is None:
                self.values[node] = {"%": number}
                number += 1
            elif own in places:
                self.values[node] = {"%": places[own]}
            else:
                self.values[node] = {"constant": self._constant(found.constants.get(spec.target), own)}

    def code(self, found: Any) -> dict[str, Any]:
        steps: list[Any] = []
        for node in found.graph.nodes:
            if node.op == "call_function":
                self._step(node, steps)
            elif node.op == "get_attr":
                self.problems.append(f"forward uses {node.target!r}, a part that is no tensor")
        changed = [spec for spec in found.graph_signature.output_specs if spec.kind.name == "BUFFER_MUTATION"]
        if changed:
            self.problems.append(f"forward replaces the buffer {changed[0].target!r}; change it in place with copy_")
        if self.problems:
            told = "; ".join(dict.fromkeys(self.problems))
            raise InputError(f"the module can't be taken as a graph of operations ({told}); {_BUILDER}")
        (result,) = found.graph.find_nodes(op="output")
        return {"steps": steps, "outputs": [self._value(part) for part in result.args[0]]}

    def _step(self, node: fx.Node, steps: list[Any]) -> None:
        name = _name(node.target)
        if name.split(".")[1].startswith(_CHECKS):
            return
        try:
            operation(name)
            arguments = [self._value(part) for part in node.args]
            steps.append([name, arguments, {key: self._value(part) for key, part in node.kwargs.items()}])
        except InputError as error:
            self.problems += error.problems
        self.values[node] = {"step": len(steps) - 1}

    def _value(self, value: Any) -> Any:
        if isinstance(value, fx.Node):
            return self.values[value]
        if isinstance(value, list | tuple):
            return [self._value(part) for part in value]
        if isinstance(value, float) and not math.isfinite(value):
            return {"float": str(value)}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        return _word(value)

    def _constant(self, value: Any, name: str) -> str:
        if not isinstance(value, Tensor):
            self.problems.append(f"forward uses {name!r}, which is no tensor")
            return name
        for known, other in self.constants.items():
            if other.dtype == value.dtype and torch.equal(other, value):
                return known
        key = f"{_CONSTANTS}.{len(self.constants)}"
        self.constants[key] = value.detach().clone()
        return key


def _name(target: Any) -> str:
    if isinstance(target, torch._ops.OpOverload):
        return f"{target.namespace}.{target._schema.name.split('::')[1]}.{target._overloadname}"
    known = {function: name for name, function in SCALAR.items()}
    if target is operator.getitem or target in known:
        return f"size.{known[target]}"
    return f"python.{getattr(target, '__name__', target)}"


def _word(value: Any) -> dict[str, Any]:
    """Types, memory formats and devices; the device is that of the inputs when the program is run."""
    if isinstance(value, torch.device):
        return {"device": "input"}
    if value is torch.strided:
        return {"layout": "strided"}
    for kind, known in (("dtype", DTYPES), ("memory_format", FORMATS)):
        for name, other in known.items():
            if type(value) is type(other) and value == other:
                return {kind: name}
    raise InputError(f"forward uses {value!r}, which can't be written down")


def _settled(told: Any, inputs: int, names: list[str]) -> Any:
    """The same with numbers in the place of constants' names and of steps."""
    if isinstance(told, list):
        return [_settled(part, inputs, names) for part in told]
    if not isinstance(told, dict):
        return told
    if "constant" in told:
        return {"%": inputs + names.index(told["constant"])}
    if "step" in told:
        return {"%": inputs + len(names) + told["step"]}
    return {key: _settled(part, inputs, names) for key, part in told.items()}


def _entry(name: str, value: Tensor) -> dict[str, Any]:
    kind = "parameter" if isinstance(value, nn.Parameter) else "buffer"
    return {"name": name, "kind": kind, "shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}

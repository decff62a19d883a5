"""Received: what people pass as a module. A module is taken out of its wrappers; anything else is told what to give.

No pickle is ever loaded: a file that holds one runs whatever code it likes, so its owner is the one to load it.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cortigraph.graph.errors import InputError
from cortigraph.regions.adapters import named

__all__ = ["received"]

_FORMS = "expected a torch.nn.Module, timm:NAME, or transformers:FOLDER"
_PICKLES = {".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".joblib", ".pt2"}
_OTHERS = {".onnx": "ONNX", ".h5": "Keras", ".keras": "Keras", ".tflite": "TensorFlow Lite", ".pb": "TensorFlow",
           ".gguf": "GGUF", ".mlmodel": "Core ML"}  # fmt: skip
_MAKE = "make the module, call model.load_state_dict({}), and give the module"
_HELD = ("model", "module", "network", "net")


def received(given: object) -> nn.Module:
    """The module that a user means.

    Args:
        given: A module, perhaps compiled or wrapped for several devices; or a text that names one.

    Raises:
        InputError: It is something else; the message says what to give.
        SetupError: It is named by a library that is not installed.

    Example:
        >>> received(nn.DataParallel(nn.Linear(2, 3)))
        Linear(in_features=2, out_features=3, bias=True)
        >>> received({"weight": torch.zeros(2)})
        Traceback (most recent call last):
        cortigraph.graph.errors.InputError: expected a torch.nn.Module, timm:NAME, or transformers:FOLDER; got a state \
dict, weights without their module; make the module, call model.load_state_dict(it), and give the module
    """
    if isinstance(given, str) and named.names_a_model(given):
        return named.load(given)
    if isinstance(given, nn.Module):
        given = _unwrapped(given)
    told = _of_module(given) if isinstance(given, nn.Module) else _of_other(given)
    if told:
        raise InputError(f"{_FORMS}; got {told}")
    assert isinstance(given, nn.Module)
    return given


def _unwrapped(module: nn.Module) -> nn.Module:
    """Without what `torch.compile` and data parallelism put around it, which gives its tensors other names."""
    parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    while isinstance(inner := getattr(module, "_orig_mod", None), nn.Module) or isinstance(module, parallel):
        module = inner if isinstance(inner, nn.Module) else next(module.children())
    return module


def _of_module(module: nn.Module) -> str:
    if isinstance(module, torch.jit.ScriptModule):
        return "a TorchScript module, whose code can't be exported; give the module that it was made from"
    if type(module).forward is nn.Module.forward and "forward" not in vars(module):
        told = _inside(module) or "give one that has one, such as nn.Sequential"
        return f"{type(module).__name__}, a module without a forward; {told}"
    return ""


def _of_other(given: Any) -> str:
    kind = type(given).__name__
    if given is None:
        return "None; look whether the function that makes the module returns it"
    if isinstance(given, str | os.PathLike):
        return _of_file(os.fspath(given))
    if isinstance(given, type):
        made = "an instance of it, with its arguments" if issubclass(given, nn.Module) else "an instance of a module"
        return f"the class {given.__name__}; give {made}: {given.__name__}(…)"
    if isinstance(given, Mapping):
        return _of_mapping(given)
    if isinstance(given, torch.export.ExportedProgram):
        return "an ExportedProgram, whose sizes and mode are settled; give the module that it was exported from"
    if isinstance(given, torch.optim.Optimizer):
        return f"{kind}, an optimizer; give the module that it trains"
    if isinstance(given, functools.partial) or inspect.isroutine(given):
        name = getattr(given, "__name__", kind)
        return f"the function {name}; if it makes a module, call it; else put it into the forward of a module"
    if isinstance(given, torch.Tensor) or hasattr(given, "__array__"):
        return f"{kind}, an array of numbers; give the module whose weights they are"
    if isinstance(given, list | tuple):
        return f"a {kind}; if its parts are layers, give nn.Sequential(*layers)"
    return _of_stranger(given, kind)


def _of_stranger(given: Any, kind: str) -> str:
    """By what can be seen of it, as its library may not be installed here."""
    if callable(getattr(given, "tokenize", None)) or "Tokenizer" in kind or "Processor" in kind:
        return f"{kind}, which prepares inputs and has no layers; give the model, and what it makes as example="
    told = _inside(given)
    if told:
        return f"{kind}; {told}"
    if callable(getattr(given, "fit", None)) and callable(getattr(given, "predict", None)):
        return f"{kind}, an estimator that is no module of torch; write its rule as a module with a forward"
    return f"{kind}; give a module with a forward"


def _inside(given: object) -> str:
    """Where the module is that somebody holds."""
    held = [name for name in _HELD if isinstance(getattr(given, name, None), nn.Module)]
    return f"give the module that it holds: its .{held[0]}" if held else ""


def _of_file(path: str | bytes) -> str:
    place = Path(os.fsdecode(path))
    ending = place.suffix.lower()
    if ending in _PICKLES:
        make = _MAKE.format(f"torch.load({place.name!r}, weights_only=True)")
        return f"the file {place}, which may run code when it is read and is never loaded here; {make}"
    if ending == ".safetensors":
        make = _MAKE.format(f"safetensors.torch.load_file({place.name!r})")
        return f"the file {place}, weights without their module; {make}"
    if ending in _OTHERS:
        return f"the file {place}, a model of {_OTHERS[ending]}; give the torch.nn.Module that it was made from"
    if (place / "config.json").is_file():
        return f"the folder {place}; a model of transformers is named as 'transformers:{place}'"
    return repr(os.fspath(place))


def _of_mapping(given: Mapping[Any, Any]) -> str:
    if _tensors(given):
        return f"a state dict, weights without their module; {_MAKE.format('it')}"
    modules = [name for name, value in given.items() if isinstance(value, nn.Module)]
    if modules:
        return f"a dict that holds a module; give the module itself, under its key {modules[0]!r}"
    states = [name for name, value in given.items() if isinstance(value, Mapping) and _tensors(value)]
    if states:
        return f"a checkpoint; {_MAKE.format(f'checkpoint[{states[0]!r}]')}"
    return f"a {type(given).__name__} without a module in it; give the module itself"


def _tensors(value: Mapping[Any, Any]) -> bool:
    return bool(value) and all(isinstance(part, torch.Tensor) for part in value.values())

"""Named models: `timm:resnet18` and `transformers:FOLDER` in the place of a module."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cortigraph.graph.errors import InputError, SetupError
from cortigraph.regions.adapters import timm_models

__all__ = ["load", "names_a_model"]

_LIBRARIES = ("timm", "transformers")


def names_a_model(text: str) -> bool:
    """Whether a text is of the form that `load` takes.

    Example:
        >>> names_a_model("timm:resnet18"), names_a_model("resnet18.pth")
        (True, False)
    """
    library, _, rest = text.partition(":")
    return library in _LIBRARIES and bool(rest)


def load(text: str) -> nn.Module:
    """Makes the model that a text names; nothing is fetched.

    Args:
        text: Of the form that `names_a_model` knows. `timm:NAME` is an architecture with initial values from a fixed
            seed; `transformers:FOLDER` what `save_pretrained` wrote: with its weights where there are some
            (safetensors), else from a fixed seed too.

    Raises:
        InputError: The folder holds no model.
        SetupError: The library is not installed.
    """
    library, _, rest = text.partition(":")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if library == "timm":
            made: nn.Module = timm_models.create(rest, {})
            return made
        return _from_folder(Path(rest).expanduser())


def _from_folder(folder: Path) -> nn.Module:
    try:
        import transformers
    except ImportError as error:
        raise SetupError("this region is a model of transformers; run: pip install transformers") from error
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} holds no config.json; give a folder that save_pretrained wrote")
    try:
        config = transformers.AutoConfig.from_pretrained(os.fspath(folder), local_files_only=True)
        kind = _kind(transformers, config)
        if not list(folder.glob("*.safetensors")):
            return _made(kind(config))
        return _made(kind.from_pretrained(os.fspath(folder), local_files_only=True, use_safetensors=True))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{folder} holds no model that transformers can load: {error}") from error


def _kind(library: Any, config: Any) -> Any:
    """The class that the configuration was saved with, else the model without a head."""
    name = next(iter(config.architectures or ()), "")
    known = getattr(library, name, None) if name.isidentifier() else None
    if isinstance(known, type) and issubclass(known, library.PreTrainedModel):
        return known
    return library.MODEL_MAPPING[type(config)]


def _made(model: Any) -> nn.Module:
    made: nn.Module = model.eval()
    return made

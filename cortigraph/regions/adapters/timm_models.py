"""timm: image models by their name and options. The builder `timm` makes them, without trained weights of timm's own.

features   what the model gives before its classifier
tap1 …     maps of up to five depths, where the model tells them
logits     of the model's own classifier; with `classes`, of a new linear head in its place
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field, JsonValue
from torch import Tensor, nn

from cortigraph.graph.errors import InputError, SetupError, UnknownKeyError
from cortigraph.regions.adapters.alike import differences, loaded
from cortigraph.regions.adapters.base import Adapted, Recipe, pooled
from cortigraph.regions.builders import builder
from cortigraph.regions.ports import Port

__all__ = ["TimmModel", "create", "is_timm", "recipe", "timm_model"]

_Count = Annotated[int, Field(ge=1)]
_Index = Annotated[int, Field(ge=0)]
_TAPS = 5
_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")
# Options that read files or the network, or make something else than the model.
_REFUSED = re.compile(r"(pretrained|checkpoint|cache|hf_|url|file|features_only|scriptable|exportable|device|dtype).*")
_LICENCES = {"apache-2.0": "Apache-2.0", "mit": "MIT", "cc-by-nc-4.0": "CC-BY-NC-4.0", "bsd-3-clause": "BSD-3-Clause"}


class TimmModel(Adapted):
    """A timm model as a region.

    Args:
        model: From timm, of any of its families.
        taps: The depths that are given as maps, numbered as `forward_intermediates` does.
        classes: Of a new head in place of the model's classifier.
        frozen: Parameters that do not learn.
    """

    def __init__(
        self, model: Any, taps: Sequence[int] = (), classes: int | None = None, frozen: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.model = model
        self.taps = tuple(taps)
        self.answers = classes is None and model.num_classes > 0
        own = set(model.state_dict())
        width = int(getattr(model, "head_hidden_size", None) or model.num_features)
        if classes is not None and model.num_classes > 0:
            model.reset_classifier(0)
        dropped = own - set(model.state_dict())
        self.give_head(width, classes, [f"model.{name}" for name in dropped])
        self.freeze([f"model.{name}" for name in frozen])

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Images [B, channels, height, width] to taps, `features` [B, width] and `logits`."""
        outputs: dict[str, Tensor] = {}
        if self.taps:
            last, maps = self.model.forward_intermediates(image, indices=list(self.taps))
            outputs = {f"tap{number}": value for number, value in enumerate(maps, start=1)}
        else:
            last = self.model.forward_features(image)
        if self.answers:
            outputs["logits"] = self.model.forward_head(last)
        outputs["features"] = pooled(self.model.forward_head(last, pre_logits=True))
        if self.head is not None:
            outputs["logits"] = self.head(outputs["features"])
        return outputs


@builder("timm")
def timm_model(
    model: str,
    options: dict[str, JsonValue] = {},  # noqa: B006 (read only)
    taps: list[_Index] = [],  # noqa: B006 (read only)
    classes: _Count | None = None,
    frozen: list[str] = [],  # noqa: B006 (read only)
) -> nn.Module:
    """The timm model of that name, freshly initialised: `options` are those of `timm.create_model`."""
    return TimmModel(create(model, options), taps, classes, frozen)


def create(name: str, options: dict[str, Any]) -> Any:
    """Makes a timm model; nothing is fetched and no file is read.

    Args:
        name: As `timm.list_models()` has it, perhaps with a tag behind a dot.
        options: Of `timm.create_model`, but for those that name weights, files or devices.

    Raises:
        SetupError: timm is not installed.
        UnknownKeyError: timm has no such model.
        InputError: An option is unknown to the model, or may not be used.
    """
    try:
        import timm
    except ImportError as error:
        raise SetupError("this region is a timm model; run: pip install timm") from error
    if not _NAME.fullmatch(name) or not timm.is_model(name):
        raise UnknownKeyError("timm model", name, timm.list_models())
    refused = sorted(option for option in options if _REFUSED.fullmatch(option))
    if refused:
        raise InputError(f"timm model {name}: the options {', '.join(refused)} may not be used in a region")
    try:
        return timm.create_model(name, pretrained=False, **options)
    except (TypeError, RuntimeError, ValueError, AssertionError, KeyError) as error:
        raise InputError(f"timm model {name} can't be made with {options}: {error}") from error


def is_timm(module: nn.Module) -> bool:
    """Whether a module is a whole model of timm's."""
    return type(module).__module__.startswith("timm.") and hasattr(module, "pretrained_cfg")


def recipe(module: Any, example: Sequence[Tensor] | None, frozen: Sequence[str]) -> Recipe:
    """How a timm model is made again.

    Args:
        module: On the CPU, in full precision; its mode is left changed.
        example: Images that it takes, with the batch axis; of the configured size when left out.
        frozen: Its parameters that do not learn.

    Raises:
        InputError: The model was changed, so that timm does not make it again; or it can't be run on the example.
    """
    told = dict(module.pretrained_cfg)
    name, options = str(told.get("architecture")), _options(module)
    image = example[0] if example else _image(module, options, told)
    # Copied before the comparison, which trains a little.
    state = {f"model.{key}": value.detach().clone() for key, value in module.state_dict().items()}
    again = create(name, options)
    problems = loaded(module, again) or differences(module, again, lambda model: model(image))
    if problems:
        raise InputError([f"timm does not make {name} again as it is: {problem}" for problem in problems])
    taps = _taps(again, image)
    arguments = {"model": name, "options": options, "taps": taps, "frozen": list(frozen)}
    return Recipe(
        builder="timm",
        arguments={key: value for key, value in arguments.items() if value or key == "model"},
        state=state,
        accepts=(_accepts(image, bool(told.get("fixed_input_size"))),),
        emits=_emits(TimmModel(again, taps).eval(), image),
        shapes=(tuple(image.shape[1:]),),
        example=(image,),
        licence=_LICENCES.get(str(told.get("license"))),
        told=f"{name}, a model of timm's",
    )


def _options(module: Any) -> dict[str, Any]:
    """The options that it was made with, as far as it knows them, and what was changed since."""
    kept = {key: value for key, value in getattr(module, "_model_args", {}).items() if not _REFUSED.fullmatch(key)}
    classifier = module.get_classifier()
    classes = getattr(classifier, "out_features", None) or module.num_classes
    try:
        plain: dict[str, Any] = json.loads(json.dumps({**kept, "num_classes": classes}))
    except TypeError as error:
        raise InputError(f"the model was made with options that can't be written down: {error}") from error
    return plain


def _image(module: Any, options: dict[str, Any], told: dict[str, Any]) -> Tensor:
    _, height, width = told["input_size"]
    size = options.get("img_size")
    if size is not None:
        height, width = size if isinstance(size, list) else (size, size)
    channels = int(options.get("in_chans", told["input_size"][0]))
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(0))


def _taps(model: Any, image: Tensor) -> list[int]:
    """Up to five depths, evenly; none where the model can't tell them without changing what it computes."""
    model.eval()
    try:
        with torch.no_grad():
            last, maps = model.forward_intermediates(image[:1])
            same = torch.equal(model.forward_head(last), model(image[:1]))
    except (AttributeError, NotImplementedError, TypeError, RuntimeError, AssertionError):
        return []
    if not same or any(value.dim() != 4 for value in maps):
        return []
    count = len(maps)
    return sorted({round((place + 1) * count / _TAPS) - 1 for place in range(_TAPS)} & set(range(count)))


def _accepts(image: Tensor, fixed: bool) -> Port:
    height, width = image.shape[2:] if fixed else ("*", "*")
    return Port.parse("image", f"image[channel={image.shape[1]},height={height},width={width}] float32 raw")


def _emits(module: nn.Module, image: Tensor) -> tuple[Port, ...]:
    with torch.no_grad():
        outputs = module(image[:1])
    taps = [
        Port.parse(name, f"image[channel={value.shape[1]},height=*,width=*] float32 map")
        for name, value in outputs.items()
        if name.startswith("tap")
    ]
    width = outputs["features"].shape[1]
    features = Port.parse("features", f"image[feature={width}] float32 features")
    return (*taps, features, Port.parse("logits", "image[class=*] float32 logits"))

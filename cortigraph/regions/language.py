"""Language: the area `language.encoding`, and the one way in which texts become vectors.

tokenize     texts → tokens for the encoder
embed_text   texts → unit vectors of 384 numbers; everything that embeds text goes through it
ENCODER      which encoder that is: vectors of two encoders must never be compared
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from cortigraph.graph.schema import TEXT_DIMENSION
from cortigraph.regions.ports import Port
from cortigraph.regions.region import Area, Region

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

__all__ = ["AREAS", "ENCODER", "REGIONS", "embed_text", "tokenize"]

# What the model's own configuration says, in tokens.
_LENGTH = 256
# What one pass of the encoder takes: its intermediate values then fit the processor's cache.
_BATCH_TOKENS = 1024
# What one call of the tokenizer takes: it keeps what it cuts off until it returns.
_BLOCK_TEXTS = 4096
_BLOCK_CHARACTERS = 2_000_000
# No text of words needs more for 256 tokens; a cell of ten megabytes would take seconds to split.
_LONGEST = 100_000

# Counted up when the same text would get another vector.
ENCODER = "all-MiniLM-L6-v2/256/1"

_TOKENS = Port.parse("tokens", "text[row=2,token=*] int64 raw")
_FEATURES = Port.parse("features", "text[feature=384] float32 features")
_LOGITS = Port.parse("logits", "text[class=*] float32 logits")

AREAS = (
    Area(
        key="language.encoding",
        name="Text encoding",
        description="What a text means: features of texts given as tokens.",
        accepts=(_TOKENS,),
        emits=(Port.parse("features", "text[feature=*] float32 features"),),
    ),
)

REGIONS = (
    Region(
        area="language.encoding",
        id="001",
        name="MiniLM",
        builder="minilm",
        accepts=(_TOKENS,),
        emits=(_FEATURES, _LOGITS),
        description="all-MiniLM-L6-v2: a small transformer, trained on a billion pairs of sentences, frozen.",
        trainable=False,
        shapes=((2, 32),),
    ),
)


def tokenize(texts: Sequence[str]) -> NDArray[np.int64]:
    """Tokens for the encoder, padded to the longest text and cut at 256.

    Args:
        texts: Any texts, the empty one included.

    Returns:
        Shape (texts, 2, tokens): IDs and attention mask, as the port `tokens` of the encoder wants them.

    Example:
        >>> tokenize(["a red circle", "hello"]).shape
        (2, 2, 5)
    """
    return _padded([ids for block in _blocks(texts) for ids in _split(texts[block])])


def embed_text(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors of texts: the nearer their meanings, the larger their scalar product.

    Nothing is fetched: the model comes with its wheel. It is loaded once per process, at the first call.

    Args:
        texts: Any number of texts; only the first 256 tokens of each are read.

    Returns:
        Shape (texts, 384), one row per text, each of length one.

    Example:
        >>> vectors = embed_text(["a spoken digit", "someone says a number", "a bridge made of steel"])
        >>> bool(vectors[0] @ vectors[1] > vectors[0] @ vectors[2])
        True
    """
    vectors = np.empty((len(texts), TEXT_DIMENSION), dtype=np.float32)
    for block in _blocks(texts):
        vectors[block] = _embed_block(texts[block])
    return vectors


def _embed_block(texts: Sequence[str]) -> NDArray[np.float32]:
    import torch

    vectors = np.empty((len(texts), TEXT_DIMENSION), dtype=np.float32)
    tokens = _split(texts)
    for rows in _batches([len(ids) for ids in tokens]):
        batch = torch.from_numpy(_padded([tokens[row] for row in rows]))
        with torch.inference_mode():
            vectors[rows] = _encoder()(batch)["features"].numpy()
    return vectors


def _blocks(texts: Sequence[str]) -> Iterator[slice]:
    """Runs of texts, each short enough for one call of the tokenizer."""
    start = characters = 0
    for row, text in enumerate(texts):
        characters += min(len(text), _LONGEST)
        if row > start and (row - start >= _BLOCK_TEXTS or characters > _BLOCK_CHARACTERS):
            yield slice(start, row)
            start, characters = row, min(len(text), _LONGEST)
    if start < len(texts):
        yield slice(start, len(texts))


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows of like length share a batch, so that little padding is computed; a batch counts tokens, not texts."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[row] > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _split(texts: Sequence[str]) -> list[list[int]]:
    found = _tokenizer().encode_batch([_encodable(text[:_LONGEST]) for text in texts])
    return [text.ids for text in found]


def _encodable(text: str) -> str:
    """Halves of surrogate pairs are no characters, and the tokenizer refuses them."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _padded(tokens: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    longest = max(map(len, tokens), default=0)
    rows = np.zeros((len(tokens), 2, longest), dtype=np.int64)
    for row, ids in enumerate(tokens):
        rows[row, 0, : len(ids)] = ids
        rows[row, 1, : len(ids)] = 1
    return rows


@cache
def _encoder() -> nn.Module:
    from cortigraph.regions import builders

    return builders.get("minilm").build().eval()


@cache
def _tokenizer() -> Any:
    from tokenizers import Tokenizer

    from cortigraph.regions.minilm import model_folder

    tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
    # The file's own settings cut every text at 128 tokens, and pad it to them.
    tokenizer.enable_truncation(_LENGTH)
    tokenizer.no_padding()
    return tokenizer

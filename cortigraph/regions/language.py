"""Language: the area `language.encoding`, and the one way in which texts become vectors.

tokenize     texts → tokens for the encoder
embed_text   texts → unit vectors of 384 numbers; everything that embeds text goes through it
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from cortigraph.graph.schema import TEXT_DIMENSION
from cortigraph.regions.ports import Port
from cortigraph.regions.region import Area, Region

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

__all__ = ["AREAS", "REGIONS", "embed_text", "tokenize"]

# What the model's own configuration says, in tokens.
_LENGTH = 256
_BATCH = 64

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
    found = _tokenizer().encode_batch(list(texts))
    longest = len(found[0].ids) if found else 0
    rows = [(text.ids, text.attention_mask) for text in found]
    return np.array(rows, dtype=np.int64).reshape(len(found), 2, longest)


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
    import torch

    vectors = np.empty((len(texts), TEXT_DIMENSION), dtype=np.float32)
    # Texts of like length share a batch, so that little padding is computed.
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        tokens = torch.from_numpy(tokenize([texts[row] for row in rows]))
        with torch.inference_mode():
            vectors[rows] = _encoder()(tokens)["features"].numpy()
    return vectors


@cache
def _encoder() -> nn.Module:
    from cortigraph.regions import builders

    return builders.get("minilm").build().eval()


@cache
def _tokenizer() -> Any:
    from tokenizers import Tokenizer

    from cortigraph.regions.minilm import model_folder

    tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
    # The file's own settings pad every text to 128 tokens.
    tokenizer.enable_truncation(_LENGTH)
    tokenizer.enable_padding()
    return tokenizer

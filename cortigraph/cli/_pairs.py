"""`name=value`, as options that may be repeated take it."""

from __future__ import annotations

from collections.abc import Sequence

from cortigraph.graph.errors import InputError

__all__ = ["split_pairs"]


def split_pairs(option: str, pairs: Sequence[str]) -> dict[str, str]:
    """Names and values; the last one counts where a name comes twice.

    Args:
        option: What the user typed before each, for the message.
        pairs: As on the command line.

    Raises:
        InputError: A pair without a name or without `=`; all of them are listed.

    Example:
        >>> split_pairs("--set", ["seed=1", "name=a=b"])
        {'seed': '1', 'name': 'a=b'}
    """
    wrong = [pair for pair in pairs if not pair.partition("=")[0] or "=" not in pair]
    if wrong:
        raise InputError([f"{option} is name=value, got {pair!r}" for pair in wrong])
    return dict(pair.split("=", 1) for pair in pairs)

"""Numbers inside compiled loops: bfloat16 as bits, and an exponential that compilers can vectorise.

Imported only by modules of compiled loops: it imports numba.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.extending import overload

__all__ = ["exponential", "narrow", "wide"]


def wide(value: Any) -> Any:
    """A number as float32, be it float32 or the bits of a bfloat16."""


def narrow(value: Any, like: Any) -> Any:
    """A float32 in the form of another number: float32, or the bits of a bfloat16, rounded to the nearest."""


@overload(wide, inline="always")  # type: ignore[untyped-decorator]
def _wide(value: Any) -> Any:
    if isinstance(value, numba.types.Integer):

        def widened(value: Any) -> Any:
            return np.uint32(np.uint32(value) << np.uint32(16)).view(np.float32)

        return widened

    def same(value: Any) -> Any:
        return value

    return same


@overload(narrow, inline="always")  # type: ignore[untyped-decorator]
def _narrow(value: Any, like: Any) -> Any:
    if isinstance(like, numba.types.Integer):

        def rounded(value: Any, like: Any) -> Any:
            bits = np.float32(value).view(np.uint32)
            odd = (bits >> np.uint32(16)) & np.uint32(1)
            return np.uint16(np.uint32(bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))

        return rounded

    def same(value: Any, like: Any) -> Any:
        return value

    return same


@numba.njit(inline="always", fastmath=True)  # type: ignore[untyped-decorator]
def exponential(x: Any) -> Any:
    """e to the power of a float32 that is not above 80: 2 to a whole number, times a polynomial; error under 2e-7."""
    x = max(x, np.float32(-87.0))
    whole = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    rest = x - whole * np.float32(0.693359375) + whole * np.float32(2.12194440e-4)
    series = np.float32(1.9875691500e-4)
    series = series * rest + np.float32(1.3981999507e-3)
    series = series * rest + np.float32(8.3334519073e-3)
    series = series * rest + np.float32(4.1665795894e-2)
    series = series * rest + np.float32(1.6666665459e-1)
    series = series * rest + np.float32(5.0000001201e-1)
    series = series * rest * rest + rest + np.float32(1)
    return series * np.int32(np.int32(np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)

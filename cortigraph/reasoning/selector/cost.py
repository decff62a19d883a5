"""Cost: what a region's card says of its size and speed, under one name each, whoever wrote the card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["cost_of"]

# Name → (property of the card, what it is multiplied by); the first that is there counts.
_KNOWN: dict[str, tuple[tuple[str, float], ...]] = {
    "parameters": (
        ("parameters", 1),
        ("number_of_parameters", 1),
        ("parameters_millions", 1e6),
        ("param_count", 1e6),
    ),
    "flops": (("flops", 1), ("gflops", 1e9), ("macs", 2), ("gmacs", 2e9)),
    "latency_ms": (("latency_ms", 1), ("milliseconds", 1), ("step_time", 1)),
    "memory_bytes": (("memory_bytes", 1), ("memory_consumption", 1)),
}


def cost_of(card: Mapping[str, Any]) -> dict[str, float]:
    """What is known of a region's cost.

    Args:
        card: Its properties.

    Returns:
        Some of `parameters`, `flops` (for one sample), `latency_ms` and `memory_bytes`.

    Example:
        >>> cost_of({"parameters_millions": 25.5, "gmacs": 4.0})
        {'parameters': 25500000.0, 'flops': 8000000000.0}
    """
    found = {}
    for name, sources in _KNOWN.items():
        told = [
            float(card[source]) * factor
            for source, factor in sources
            if isinstance(card.get(source), int | float) and not isinstance(card[source], bool)
        ]
        if told:
            found[name] = told[0]
    return found

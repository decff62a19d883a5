"""Adapters: any module as a region, with one call. Only what needs no torch is imported here.

    add        a module, a timm model or a transformers model → a region with weights
    Regions    the regions of one memory: add, get, list, build

How a module is made again, in a process that has not its code:

    timm           by the model's name and options
    transformers   by the model's class and configuration
    graph          any other: as a program of operations, taken by `torch.export`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cortigraph.regions.adapters.regions import Regions

if TYPE_CHECKING:
    from cortigraph.regions.adapters.adding import add

__all__ = ["Regions", "add"]


def __getattr__(name: str) -> Any:
    if name == "add":
        from cortigraph.regions.adapters.adding import add

        return add
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

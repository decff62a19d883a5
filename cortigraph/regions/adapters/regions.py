"""Regions of one memory: add, get, list and build, with store and home filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cortigraph.regions import catalogue
from cortigraph.regions.region import Area, Region
from cortigraph.regions.weights import WeightStore

if TYPE_CHECKING:
    from pydantic import JsonValue
    from torch import Tensor, nn

    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store
    from cortigraph.regions.adapters.inputs import Given

__all__ = ["Regions"]

# Inside the class, `list` is its method.
_Areas = list[Area]
_Regions = list[Region]


class Regions:
    """What `brain.regions` is.

    Args:
        store: The graph.
        home: Where the weights are kept.

    Example:
        >>> regions = Regions(store, home)  # doctest: +SKIP
        >>> regions.add(model, area="vision.recognition", id="mine", example=images)  # doctest: +SKIP
        >>> regions.build("vision.recognition/mine", classes=10)(images)["logits"].shape  # doctest: +SKIP
        torch.Size([4, 10])
    """

    def __init__(self, store: Store, home: Home) -> None:
        self.store = store
        self.home = home

    def add(
        self,
        module: object,
        *,
        area: str,
        id: str,
        name: str | None = None,
        description: str = "",
        licence: str | None = None,
        example: Tensor | Sequence[Tensor] | None = None,
        accepts: Given = None,
        emits: Given = None,
        trainable: bool = True,
        overwrite: bool = False,
        derived_from: str | None = None,
        builder: str | None = None,
        arguments: Mapping[str, JsonValue] | None = None,
    ) -> Region:
        """See `cortigraph.regions.adapters.add`."""
        from cortigraph.regions.adapters.adding import add

        return add(
            self.store,
            self.home,
            module,
            area=area,
            id=id,
            name=name,
            description=description,
            licence=licence,
            example=example,
            accepts=accepts,
            emits=emits,
            trainable=trainable,
            overwrite=overwrite,
            derived_from=derived_from,
            builder=builder,
            arguments=arguments,
        )

    def get(self, key: str) -> Region:
        """The region of a key, `area/id`.

        Raises:
            UnknownKeyError: There is none; the nearest are given.
        """
        return catalogue.region(self.store, key)

    def list(self, area: str | None = None) -> _Regions:
        """The regions, by key; of one area when it is given.

        Raises:
            UnknownKeyError: There is no such area.
        """
        return catalogue.regions(self.store, area)

    def areas(self) -> _Areas:
        """The areas, by key."""
        return catalogue.areas(self.store)

    def build(self, key: str, **overrides: Any) -> nn.Module:
        """The module of a region, with its weights.

        Args:
            key: `area/id`.
            overrides: Arguments that replace or complete the declared ones, for instance `classes=10`.

        Raises:
            UnknownKeyError: There is no such region, builder or weights.
            InputError: The arguments do not suit the builder.
        """
        return self.get(key).build(WeightStore(self.home.weights), **overrides)

"""Areas and regions: what is declared about interchangeable modules, and how a declaration becomes a module.

Area      a named capability, for instance `vision.recognition`: image → features and logits
Region    one concrete module in an area: builder, arguments, ports, weights, licence
emitted   the exact output ports of a module for inputs of given shapes
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from cortigraph.graph.errors import InputError
from cortigraph.regions import builders
from cortigraph.regions.ports import Port, check
from cortigraph.regions.shapes import emitted

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cortigraph.regions.weights import WeightStore

__all__ = ["Area", "Region"]

_AreaKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$")]
_Id = Annotated[str, Field(pattern=r"^[0-9A-Za-z._-]{1,32}$")]
_Hash = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
_FREE = 32


class Area(BaseModel):
    """A functional area: a named capability whose regions are interchangeable.

    Args:
        key: Dotted lower-case words, for instance `vision.recognition`.
        accepts: What every region of the area takes.
        emits: What every region of the area gives at least.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: _AreaKey
    name: str
    description: str = ""
    accepts: tuple[Port, ...] = ()
    emits: tuple[Port, ...] = ()


class Region(BaseModel):
    """One concrete module in an area, declared and not coded twice.

    Args:
        area: The key of its area.
        id: Short and unique in the area; scenes name regions by it.
        builder: The registered function that makes the module.
        arguments: What the builder is called with.
        accepts: The inputs, in the order of `forward`.
        emits: The outputs by name; `logits` are emitted only when the module is built with `classes`.
        weights: The hash of trained weights, or none.
        licence: Of the weights and the definition, as an SPDX name.
        trainable: Whether training may change it; a frozen encoder is not.
        variadic: Whether it takes any number of inputs, each of which fits at least one of `accepts`.
        derived_from: The key of the region that it was made from, by training further or by changing it.
        shapes: Typical shapes, one per input and without the batch axis: it is profiled and probed at these.

    Example:
        >>> from cortigraph.regions.vision import REGIONS
        >>> REGIONS[0].key, str(REGIONS[0].accepts[0])
        ('vision.recognition/001', 'image[channel=1,height=*,width=*] float32 raw')
        >>> Region.model_validate_json(REGIONS[0].model_dump_json()) == REGIONS[0]
        True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    area: _AreaKey
    id: _Id
    name: str
    builder: str
    arguments: dict[str, JsonValue] = {}
    accepts: tuple[Port, ...]
    emits: tuple[Port, ...]
    weights: _Hash | None = None
    licence: str = "Apache-2.0"
    description: str = ""
    trainable: bool = True
    variadic: bool = False
    shapes: tuple[tuple[int, ...], ...] = ()
    derived_from: str | None = None

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        for kind, ports in (("accepts", self.accepts), ("emits", self.emits)):
            names = [port.name for port in ports]
            if not names or len(set(names)) < len(names):
                raise ValueError(f"{kind}: expected one or more ports with names of their own, got {names}")
        return self

    @property
    def key(self) -> str:
        """The stable string that names the region for ever: area, slash, ID."""
        return f"{self.area}/{self.id}"

    @property
    def makes(self) -> str:
        """A short hash of what is built of it: two that share it are one network, whatever is said of them."""
        told = ("builder", "arguments", "weights", "accepts", "emits", "trainable", "variadic")
        content = json.dumps(self.model_dump(mode="json", include=set(told)), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def build(self, weights: WeightStore | None = None, **overrides: Any) -> nn.Module:
        """Makes the module, with its weights when it has any.

        Args:
            weights: Where trained weights lie; needed only when the region has a hash.
            overrides: Arguments that replace or complete the declared ones, for instance `classes=10`.

        Returns:
            A plain module: `forward(*inputs)` gives a dict from port name to tensor, batch axis first.

        Raises:
            UnknownKeyError: The builder, or the weights, are not there.
            InputError: Arguments do not suit the builder, or weights do not suit the module.

        Example:
            >>> import torch
            >>> from cortigraph.regions.vision import REGIONS
            >>> REGIONS[0].build(classes=10)(torch.zeros(4, 1, 28, 28))["logits"].shape
            torch.Size([4, 10])
        """
        module = builders.get(self.builder).build(**{**copy.deepcopy(self.arguments), **overrides})
        if self.weights is not None:
            _load(module, self._state(weights), self.key)
        return module

    def emits_for(self, *shapes: Sequence[int], **overrides: Any) -> tuple[Port, ...]:
        """The exact output ports for inputs of given shapes; nothing is computed but shapes.

        Args:
            shapes: One per input, without the batch axis.
            overrides: As for `build`.

        Returns:
            The emitted ports in declared order, with every size known; no `logits` without `classes`.

        Raises:
            InputError: The shapes do not fit the accepted ports, or the module can't take them.

        Example:
            >>> from cortigraph.regions.vision import REGIONS
            >>> [str(port) for port in REGIONS[0].emits_for((1, 28, 28), classes=10)[2:]]
            ['image[channel=32,height=4,width=4] float32 map', 'image[feature=288] float32 features', \
'image[class=10] float32 logits']
        """
        import torch

        # The module is thrown away: its initial values must not change those of the next one.
        with torch.random.fork_rng(devices=[]):
            module = builders.get(self.builder).build(**{**copy.deepcopy(self.arguments), **overrides})
        return emitted(module, self.offered(shapes), self.emits, where=f"region {self.key}")

    def offered(self, shapes: Sequence[Sequence[int]]) -> tuple[Port, ...]:
        """The accepted ports with the sizes of given inputs; a variadic region's fit by their number of axes.

        Raises:
            InputError: There are too many or too few inputs, or one does not fit.
        """
        wanted = [self._variadic_port(shape) for shape in shapes] if self.variadic else list(self.accepts)
        if len(wanted) != len(shapes):
            raise InputError(f"region {self.key} takes {len(wanted)} inputs; got {len(shapes)} shapes")
        return tuple(port.sized(tuple(shape)) for port, shape in zip(wanted, shapes, strict=True))

    def typical(self) -> tuple[Port, ...]:
        """The input ports at the typical shapes; where none are declared, free sizes are taken as 32.

        Example:
            >>> from cortigraph.regions.vision import REGIONS
            >>> [str(port) for port in REGIONS[0].typical()]
            ['image[channel=1,height=28,width=28] float32 raw']
        """
        # Two parts are the least that a variadic region can join.
        wanted = self.accepts[:1] * 2 if self.variadic else self.accepts
        return self.offered(self.shapes or [[size or _FREE for size in port.sizes] for port in wanted])

    def accepts_problems(self, offered: Sequence[Port], where: str) -> list[str]:
        """Why these outputs may not be wired to this region; empty when they may.

        Args:
            offered: What is wired to the inputs, in the order of `forward`.
            where: How the place is called in the messages, for instance `node 'head'`.

        Returns:
            One readable message per problem.
        """
        if self.variadic:
            tried = [
                [check(port, want, f"{where}, input {i}") for want in self.accepts] for i, port in enumerate(offered)
            ]
            return [problem for options in tried for problem in min(options, key=len)]
        if len(offered) != len(self.accepts):
            wanted = ", ".join(port.name for port in self.accepts)
            return [
                f"{where}: expected {len(self.accepts)} inputs ({wanted}), got {len(offered)}; wire each of them once"
            ]
        pairs = zip(offered, self.accepts, strict=True)
        return [problem for got, want in pairs for problem in check(got, want, f"{where}, input {want.name!r}")]

    def _variadic_port(self, shape: Sequence[int]) -> Port:
        for port in self.accepts:
            if len(port.axes) == len(shape):
                return port
        told = " or ".join(map(str, self.accepts))
        raise InputError(f"region {self.key} takes any number of inputs, each {told}; got the shape {tuple(shape)}")

    def _state(self, weights: WeightStore | None) -> dict[str, Tensor]:
        assert self.weights is not None
        if weights is None:
            raise InputError(f"region {self.key} has weights {self.weights}; pass the weight store that holds them")
        return weights.load(self.weights)


def _load(module: nn.Module, state: Mapping[str, Tensor], key: str) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(
            f"the weights of region {key} do not suit its module: {error}; build it as it was trained"
        ) from error

"""Ports: the typed inputs and outputs of regions, and whether one may be wired to another.

    Axis    a named axis, of a fixed size or of any size
    Port    name, modality, axes (without the batch axis), dtype, semantics
    check   the readable reasons why an offered port does not fit a wanted one

In YAML and in messages a port is one line, here with a fixed and a free size:

    image[channel=1,height=*,width=28] float32 raw
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cortigraph.graph.errors import InputError

__all__ = ["Axis", "Dtype", "Modality", "Port", "Semantics", "check"]

Modality = Literal["image", "audio", "text", "any"]
Dtype = Literal["float32", "int64"]
Semantics = Literal["raw", "map", "features", "logits"]

_AXIS = re.compile(r"([a-z][a-z0-9_]*)=(\*|[1-9][0-9]*)")
_PORT = re.compile(r"\s*(\w+)\s*\[([^\]]*)\]\s*(\w+)\s+(\w+)\s*")
_FORM = "modality[axis=size,…] dtype semantics, for instance image[channel=1,height=28,width=*] float32 raw"


class Axis(BaseModel):
    """A named axis; a size of `None` means any size, printed as `*`.

    Example:
        >>> str(Axis(name="height", size=28)), str(Axis(name="width"))
        ('height=28', 'width=*')
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    size: Annotated[int, Field(gt=0)] | None = None

    def __str__(self) -> str:
        return f"{self.name}={'*' if self.size is None else self.size}"


class Port(BaseModel):
    """A typed input or output of a region.

    Args:
        name: What the port is called in its region, for instance `layer3`; it plays no part in whether ports fit.
        modality: What the values are about; a wanted `any` takes every modality.
        axes: The axes of one sample: the batch axis, always first in a tensor, is left out.
        dtype: The element type of the tensors.
        semantics: `raw` data, a spatial `map`, a vector of `features`, or one of `logits`.

    Example:
        >>> port = Port.parse("image", "image[channel=1,height=28,width=*] float32 raw")
        >>> port.sizes
        (1, 28, None)
        >>> str(port)
        'image[channel=1,height=28,width=*] float32 raw'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    modality: Modality
    axes: tuple[Axis, ...] = ()
    dtype: Dtype = "float32"
    semantics: Semantics = "raw"

    @model_validator(mode="after")
    def _axes_differ(self) -> Self:
        names = [axis.name for axis in self.axes]
        if len(set(names)) < len(names):
            raise ValueError(f"each axis needs its own name, got {', '.join(names)}")
        return self

    @classmethod
    def parse(cls, name: str, text: str) -> Port:
        """Reads the one-line form.

        Args:
            name: What the port is called.
            text: `modality[axis=size,…] dtype semantics`.

        Returns:
            The port; `str()` of it gives the text back.

        Raises:
            InputError: The text is not of that form; lists everything that is wrong with it.

        Example:
            >>> Port.parse("logits", "any[class=10] float32 logits").axes
            (Axis(name='class', size=10),)
        """
        match = _PORT.fullmatch(text)
        if match is None:
            raise InputError(f"port {name!r}: expected {_FORM}; got {text!r}")
        modality, inside, dtype, semantics = match.groups()
        parts = [part.strip() for part in inside.split(",")] if inside.strip() else []
        problems = _word_problems(modality, dtype, semantics) + _axis_problems(parts)
        if problems:
            raise InputError([f"port {name!r}: {problem}" for problem in problems])
        axes = [part.split("=") for part in parts]
        return cls.model_validate(
            {
                "name": name,
                "modality": modality,
                "axes": [{"name": axis, "size": None if size == "*" else int(size)} for axis, size in axes],
                "dtype": dtype,
                "semantics": semantics,
            }
        )

    def __str__(self) -> str:
        return f"{self.modality}[{','.join(map(str, self.axes))}] {self.dtype} {self.semantics}"

    @property
    def sizes(self) -> tuple[int | None, ...]:
        """The size of each axis, `None` where any size will do."""
        return tuple(axis.size for axis in self.axes)

    def sized(self, sizes: tuple[int, ...]) -> Port:
        """The same port with every size fixed, as it is once the shape of the data is known.

        Args:
            sizes: One size per axis, without the batch axis.

        Raises:
            InputError: There are more or fewer sizes than axes, or a size contradicts a fixed one.

        Example:
            >>> str(Port.parse("x", "image[channel=1,height=*,width=*] float32 raw").sized((1, 28, 32)))
            'image[channel=1,height=28,width=32] float32 raw'
        """
        if len(sizes) != len(self.axes):
            raise InputError(f"port {self.name!r} has {len(self.axes)} axes, {self}; got sizes {tuple(sizes)}")
        axes = tuple(Axis(name=axis.name, size=size) for axis, size in zip(self.axes, sizes, strict=True))
        exact = self.model_copy(update={"axes": axes})
        problems = check(exact, self, f"port {self.name!r}")
        if problems:
            raise InputError(problems)
        return exact

    def fits(self, other: Port) -> bool:
        """Whether this port, offered, may be wired to `other`, wanted."""
        return not check(self, other, self.name)


def check(offered: Port, wanted: Port, where: str) -> list[str]:
    """The reasons why one port may not be wired to another.

    An offered size that is not known yet fits: it is checked again once the shape of the data is known.

    Args:
        offered: What an output or the data gives.
        wanted: What an input accepts.
        where: How the wire is called in the messages, for instance `node 'head', input 'image'`.

    Returns:
        One message per problem, each with what was expected, what was got and what to do; empty when it fits.

    Example:
        >>> stereo = Port.parse("audio", "audio[channel=2,time=*] float32 raw")
        >>> mono = Port.parse("audio", "audio[channel=1,time=*] float32 raw")
        >>> check(stereo, mono, "input 'audio'")
        ["input 'audio': expected channel=1, got channel=2; give data of that size or a region that accepts this one"]
    """
    problems = []
    if wanted.modality not in ("any", offered.modality):
        problems.append(f"expected {wanted.modality}, got {offered.modality}; wire an output of that modality here")
    if wanted.semantics != offered.semantics:
        problems.append(f"expected {wanted.semantics}, got {offered.semantics}; wire a port with those semantics here")
    if wanted.dtype != offered.dtype:
        problems.append(f"expected {wanted.dtype}, got {offered.dtype}; convert the data first")
    return [f"{where}: {problem}" for problem in problems + _axes_against(offered, wanted)]


def _axes_against(offered: Port, wanted: Port) -> list[str]:
    names = [axis.name for axis in wanted.axes]
    got = [axis.name for axis in offered.axes]
    if names != got:
        return [f"expected the axes {_listed(names)}, got {_listed(got)}; reshape the data or choose another region"]
    return [
        f"expected {want}, got {offer}; give data of that size or a region that accepts this one"
        for want, offer in zip(wanted.axes, offered.axes, strict=True)
        if want.size is not None and offer.size is not None and want.size != offer.size
    ]


def _listed(names: list[str]) -> str:
    return f"[{', '.join(names)}]"


def _word_problems(modality: str, dtype: str, semantics: str) -> list[str]:
    told = (("modality", modality, Modality), ("dtype", dtype, Dtype), ("semantics", semantics, Semantics))
    return [
        f"unknown {kind} {word!r}; choose one of {', '.join(get_args(known))}"
        for kind, word, known in told
        if word not in get_args(known)
    ]


def _axis_problems(parts: list[str]) -> list[str]:
    wrong = [
        f"expected an axis such as height=28 or height=*, got {part!r}" for part in parts if not _AXIS.fullmatch(part)
    ]
    names = [part.split("=")[0] for part in parts]
    twice = sorted({name for name in names if names.count(name) > 1})
    return wrong + [f"the axis {name!r} is there twice; give each axis its own name" for name in twice]

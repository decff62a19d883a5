"""Fusion: the area `fusion`, whose regions join any number of branches to one opinion.

A fusion region is variadic: each input fits at least one of its accepted ports, and their semantics say what it joins:

    average, product, select    logits
    concat, gated               features, then one logits per branch when `residual`
    mfas                        maps or features, then one logits per branch when `residual`

The declared arguments are an example, two branches and ten classes; whoever composes a network replaces them.
"""

from __future__ import annotations

from typing import Any

from cortigraph.regions.ports import Port
from cortigraph.regions.region import Area, Region

__all__ = ["AREAS", "REGIONS"]

_MAP = Port.parse("map", "any[channel=*,height=*,width=*] float32 map")
_FEATURES = Port.parse("features", "any[feature=*] float32 features")
_LOGITS = Port.parse("logits", "any[class=*] float32 logits")
_CLASSES = 10
_OPINIONS = ((_CLASSES,), (_CLASSES,))

AREAS = (
    Area(
        key="fusion",
        name="Fusion",
        description="Joins what several branches, one per modality, say or see, to one opinion.",
        accepts=(_MAP, _FEATURES, _LOGITS),
        emits=(_LOGITS,),
    ),
)


def _cell(
    name: str, accepts: tuple[Port, ...], shapes: tuple[tuple[int, ...], ...], description: str, **arguments: Any
) -> Region:
    return Region(
        area="fusion",
        id=name,
        name=name,
        builder=name,
        arguments=arguments,
        accepts=accepts,
        emits=(_LOGITS,),
        description=description,
        variadic=True,
        shapes=shapes,
    )


REGIONS = (
    _cell("average", (_LOGITS,), _OPINIONS, "Late fusion: the mean of the branches' probabilities."),
    _cell(
        "product",
        (_LOGITS,),
        _OPINIONS,
        "Log-linear pool: the weighted product of the branches' probabilities, Bayes' rule for independent branches.",
        modalities=2,
        classes=_CLASSES,
    ),
    _cell("select", (_LOGITS,), _OPINIONS, "One branch alone, the others left out.", index=0),
    _cell(
        "concat",
        (_FEATURES, _LOGITS),
        ((288,), (288,), *_OPINIONS),
        "A hidden layer over the joined features of the branches, correcting the product of their opinions.",
        sizes=[288, 288],
        classes=_CLASSES,
    ),
    _cell(
        "gated",
        (_FEATURES, _LOGITS),
        ((288,), (288,), *_OPINIONS),
        "A gated multimodal unit: each sample decides how much each branch counts, correcting the product of opinions.",
        sizes=[288, 288],
        classes=_CLASSES,
    ),
    _cell(
        "mfas",
        (_MAP, _FEATURES, _LOGITS),
        ((16, 7, 7), (16, 7, 7), (32, 4, 4), (32, 4, 4), *_OPINIONS),
        "Fusion at several depths: taps of the branches joined layer by layer, correcting the product of opinions.",
        sizes=[16, 16, 32, 32],
        modalities=2,
        layers=2,
        activations=["relu", "relu"],
        classes=_CLASSES,
    ),
)

"""Recognition: the declarations of the convnets, written once and used by each area whose raw data is a map."""

from __future__ import annotations

from cortigraph.regions.ports import Port
from cortigraph.regions.region import Region

__all__ = ["recognition_regions"]

# (id, name, builder, layers, what it is)
_NETWORKS = (
    ("001", "LeNet3", "lenet3", 3, "three convolutions, the smallest"),
    ("002", "LeNet5", "lenet5", 5, "five convolutions, the widest field of view"),
    ("003", "MediumNet", "mediumnet", 4, "four convolutions with small kernels"),
    ("004", "SparseNet", "sparsenet", 7, "a one-channel bottleneck and depthwise convolutions, few multiplications"),
)


def recognition_regions(area: str, raw: Port, *, subject: str, side: int) -> tuple[Region, ...]:
    """The four recognition networks as regions of an area.

    Args:
        area: The key of the area.
        raw: The port of the raw data, axes channel, height and width.
        subject: What is recognised, for the descriptions.
        side: The typical height and width, at which the regions are profiled.

    Returns:
        The regions 001 to 004.

    Example:
        >>> raw = Port.parse("image", "image[channel=1,height=*,width=*] float32 raw")
        >>> [region.name for region in recognition_regions("vision.recognition", raw, subject="images", side=28)]
        ['LeNet3', 'LeNet5', 'MediumNet', 'SparseNet']
    """
    return tuple(
        Region(
            area=area,
            id=region_id,
            name=name,
            builder=builder,
            accepts=(raw,),
            emits=_emits(raw.modality, layers),
            shapes=((1, side, side),),
            description=f"{name} for {subject}: {what}, a tap behind each layer.",
        )
        for region_id, name, builder, layers, what in _NETWORKS
    )


def _emits(modality: str, layers: int) -> tuple[Port, ...]:
    taps = [
        Port.parse(f"layer{number}", f"{modality}[channel=*,height=*,width=*] float32 map")
        for number in range(1, layers + 1)
    ]
    return (
        *taps,
        Port.parse("features", f"{modality}[feature=*] float32 features"),
        Port.parse("logits", f"{modality}[class=*] float32 logits"),
    )

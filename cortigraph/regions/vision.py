"""Vision: the area `vision.recognition` and the regions that come with the package."""

from __future__ import annotations

from cortigraph.regions.ports import Port
from cortigraph.regions.recognition import recognition_regions
from cortigraph.regions.region import Area

__all__ = ["AREAS", "REGIONS"]

_IMAGE = Port.parse("image", "image[channel=1,height=*,width=*] float32 raw")

AREAS = (
    Area(
        key="vision.recognition",
        name="Image recognition",
        description="What an image shows: features and class logits of grey images.",
        accepts=(_IMAGE,),
        emits=(
            Port.parse("features", "image[feature=*] float32 features"),
            Port.parse("logits", "image[class=*] float32 logits"),
        ),
    ),
)

REGIONS = recognition_regions("vision.recognition", _IMAGE, subject="images", side=28)

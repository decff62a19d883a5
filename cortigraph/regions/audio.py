"""Audio: the area `audio.recognition` and the regions that come with the package."""

from __future__ import annotations

from cortigraph.regions.ports import Port
from cortigraph.regions.recognition import recognition_regions
from cortigraph.regions.region import Area

__all__ = ["AREAS", "REGIONS"]

_AUDIO = Port.parse("audio", "audio[channel=1,height=*,width=*] float32 raw")

AREAS = (
    Area(
        key="audio.recognition",
        name="Audio recognition",
        description="What is heard: features and class logits of spectrograms, frequency by time.",
        accepts=(_AUDIO,),
        emits=(
            Port.parse("features", "audio[feature=*] float32 features"),
            Port.parse("logits", "audio[class=*] float32 logits"),
        ),
    ),
)

REGIONS = recognition_regions("audio.recognition", _AUDIO, subject="spectrograms", side=112)

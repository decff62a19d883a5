"""A zoo that was made up: what is good on data of one kind is not on another, and families of regions hold together."""

from __future__ import annotations

import numpy as np

from cortigraph.reasoning.selector.evidence import Evidence

FAMILIES = ("vit", "swin", "resnet", "convnext")


def zoo(*, regions: int = 40, datasets: int = 9, noise: float = 0.3, gaps: float = 0.05, seed: int = 0) -> Evidence:
    """Data sets lie on a line from many samples a class to few; regions have a strength at either end."""
    rng = np.random.default_rng(seed)
    place = np.linspace(-1, 1, datasets)
    family = rng.normal(size=(len(FAMILIES), 2))
    strength = family[np.arange(regions) % len(FAMILIES)] + rng.normal(size=(regions, 2))
    told = strength[:, :1] * (1 + place) / 2 + strength[:, 1:] * (1 - place) / 2
    told = told + noise * rng.normal(size=told.shape)
    scores = 0.7 + 0.1 * place + 0.06 * told
    keys = [f"{FAMILIES[i % len(FAMILIES)]}-{i:02d}" for i in range(regions)]
    runs = [
        {"run": f"{key}/d{j}", "region": key, "dataset": f"d{j}", "score": float(np.clip(scores[i, j], 0, 1))}
        for i, key in enumerate(keys)
        for j in range(datasets)
        if rng.random() >= gaps
    ]
    for one in runs:
        one["seconds"] = float(10 * (1 + int(one["dataset"][1:])))
    cards = {key: {"family": key.split("-")[0], "name": key} for key in keys}
    sizes = {f"d{j}": {"samples": int(1000 * 10 ** -place[j]), "number_of_classes": 10} for j in range(datasets)}
    return Evidence.of(runs, cards, sizes)

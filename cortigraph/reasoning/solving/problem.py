"""The problem that a scene poses: its data, the regions that may serve, and what memory says; read and checked as a
whole before anything is trained or written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cortigraph.graph.errors import InputError, SetupError, UnknownKeyError, brief
from cortigraph.graph.store import Store
from cortigraph.reasoning.memory import Memory
from cortigraph.reasoning.pathway.branch import adapted
from cortigraph.reasoning.pathway.compose import FUSION, Space
from cortigraph.reasoning.pathway.scene import Scene
from cortigraph.reasoning.search import names
from cortigraph.reasoning.selector.advisor import Asked
from cortigraph.regions import builders
from cortigraph.regions.catalogue import regions as catalogue
from cortigraph.regions.language import embed_text
from cortigraph.regions.ports import Port
from cortigraph.regions.region import Region
from cortigraph.train.data.dataset import Dataset
from cortigraph.train.data.files import Progress
from cortigraph.train.data.load import load
from cortigraph.train.data.record import embedding_of, recall
from cortigraph.train.data.spec import DataSpec

__all__ = ["Problem", "none_serves", "pose"]


@dataclass(frozen=True)
class Problem:
    """A scene with everything that is needed to solve it.

    Args:
        scene: As the user wrote it.
        dataset: Decoded.
        dataset_key: What the graph calls it.
        spec: Where its samples lie; with `base` and `description`, what the graph remembers of it.
        space: What may be decided, without anything that memory says.
        text: The scene's words, embedded: (384,).
        embedding: The data set's: (448,).
        left_out: Slot → region → why it can't serve, of those that are known not to.
    """

    scene: Scene
    dataset: Dataset
    dataset_key: str
    spec: DataSpec
    base: Path
    description: str
    space: Space
    text: NDArray[np.float32]
    embedding: NDArray[np.float32]
    left_out: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def port(self) -> Mapping[str, Port]:
        """Input name → its port."""
        return {port.name: port for port in self.space.inputs}

    def asked(self, proxies: Mapping[str, Mapping[str, float]] | None = None) -> Asked:
        """What a ranking of regions goes by: the data set, which the graph may never have seen, and the words."""
        return Asked(
            self.dataset_key,
            {"samples": len(self.dataset), "classes": list(self.dataset.classes)},
            self.embedding.astype(np.float64),
            self.text.astype(np.float64),
            proxies or {},
        )

    def search_key(self, remember: Sequence[str] | None) -> str:
        """Names the search: the same scene, data, settings, seed and memory go on where they were, whatever regions
        have come since."""
        parts = [
            self.dataset.fingerprint,
            self.scene.model_dump(mode="json", include={"search", "seed", "metric", "regions", "training", "text"}),
            "all" if remember is None else sorted(remember),
        ]
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:10]
        return f"{self.scene.key}/{digest}"

    @property
    def catalogue(self) -> dict[str, str]:
        """The regions that may serve: key → what each of them is, as `Region.makes` has it."""
        regions = [*self.space.cells, *(region for regions in self.space.slots.values() for region in regions)]
        return {region.key: region.makes for region in regions}

    def among(self, known: Collection[str]) -> Problem:
        """The same problem with these regions alone: those that a search began with.

        Args:
            known: Their keys.
        """
        slots = {slot: [one for one in regions if one.key in known] for slot, regions in self.space.slots.items()}
        cells = [cell for cell in self.space.cells if cell.key in known]
        return replace(self, space=replace(self.space, slots=slots, cells=cells))

    def with_memory(self, memory: Memory) -> Space:
        """The space with odds and weights as memory suggests."""
        return self.space.grown_from(memory.weights, memory.odds)


def pose(store: Store, scene: Scene, cache: Path, progress: Progress | None = None) -> Problem:
    """Reads what a scene asks.

    Args:
        store: The store; only read.
        scene: The scene.
        cache: Folder for decoded data sets.
        progress: Told how far decoding is.

    Raises:
        InputError: Anything about the scene or its data is wrong; lists every problem.
    """
    if scene.search not in names():
        raise UnknownKeyError("search strategy", scene.search, names())
    if scene.dataset is not None:
        key = scene.dataset
        spec, base, description = recall(store, key)
    else:
        assert scene.data is not None
        key, spec, base, description = f"{scene.key}.data", scene.data, scene.base, scene.text
    known = catalogue(store)
    _check_slots(scene, spec, known)
    dataset = load(spec, base, cache, progress)
    space, left_out = _space(scene, dataset, known)
    return Problem(
        scene, dataset, key, spec, base, description, space,
        text=embed_text([scene.text])[0],
        embedding=embedding_of(dataset, f"{key}. {description}"), left_out=left_out,
    )  # fmt: skip


def _check_slots(scene: Scene, spec: DataSpec, known: Sequence[Region]) -> None:
    """What the scene names, before any file is read."""
    problems = []
    slots = [*spec.inputs, FUSION]
    for name, ids in scene.regions.items():
        if name not in slots:
            problems.append(str(UnknownKeyError("input", name, slots, where="of this scene's data (under regions)")))
            continue
        modality = None if name == FUSION else spec.inputs[name].modality
        usable = {region.id for region in known if _serves(region, modality)}
        where = f"for {name!r}" + (f" ({modality})" if modality else "")
        problems += [str(UnknownKeyError("region", i, usable, where=where)) for i in ids if i not in usable]
    if problems:
        raise InputError(problems)


def _space(scene: Scene, dataset: Dataset, known: Sequence[Region]) -> tuple[Space, dict[str, dict[str, str]]]:
    """What may be decided, and the regions that their declarations rule out, with the reason."""
    slots, left_out, problems = {}, {}, []
    for name, port in dataset.ports.items():
        named = [region for region in known if _serves(region, port.modality) and _wanted(scene, name, region)]
        told = {region.key: _refused(region, port, name) for region in named}
        slots[name] = [region for region in named if not told[region.key]]
        left_out[name] = {key: "; ".join(found) for key, found in told.items() if found}
        if not slots[name]:
            problems.append(none_serves(f"{name} ({port})", left_out[name]))
    joining = [region for region in known if _serves(region, None) and _wanted(scene, FUSION, region)]
    unknown = {region.key: _unknown(region) for region in joining}
    cells = [region for region in joining if not unknown[region.key]]
    if len(slots) > 1:
        left_out[FUSION] = {key: reason for key, reason in unknown.items() if reason}
        if not cells:
            problems.append(f"no region of the area {FUSION!r} joins {len(slots)} inputs; declare one")
    if problems:
        raise InputError(problems)
    return Space(tuple(dataset.ports.values()), slots, cells, tuple(dataset.classes)), left_out


def none_serves(slot: str, left_out: Mapping[str, str]) -> str:
    """That nothing may serve an input, and why, in one line.

    Example:
        >>> none_serves("image", {"vision.recognition/mine": "it takes 28 × 28"})
        'no region can serve image: vision.recognition/mine (it takes 28 × 28)'
        >>> none_serves("smell", {})
        'no region can serve smell; declare one with `cortigraph ingest run JOB.yaml`, or add one from Python'
    """
    told = "; ".join(f"{key} ({reason})" for key, reason in left_out.items())
    hint = "; declare one with `cortigraph ingest run JOB.yaml`, or add one from Python"
    return f"no region can serve {slot}{f': {told}' if told else hint}"


def _refused(region: Region, port: Port, name: str) -> list[str]:
    """Why a region's declaration rules it out for an input; empty when it does not."""
    unknown = _unknown(region)
    return [unknown] if unknown else adapted(region, port).accepts_problems([port], name)


def _unknown(region: Region) -> str:
    """Why a region can't be built in this process, whatever for; empty when it can."""
    try:
        builders.get(region.builder)
    except (InputError, SetupError) as error:
        return brief(error)
    return ""


def _serves(region: Region, modality: str | None) -> bool:
    """Whether a region may serve an input of a modality; without one, whether it joins branches."""
    if modality is None:
        return region.area == FUSION
    return region.area != FUSION and len(region.accepts) == 1 and region.accepts[0].modality == modality


def _wanted(scene: Scene, slot: str, region: Region) -> bool:
    return slot not in scene.regions or region.id in scene.regions[slot]

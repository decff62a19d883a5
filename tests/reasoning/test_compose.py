"""Composition: whatever is drawn or mutated type-checks, and JSON gives the same function back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.pathway.compose import FUSION, Space
from cortigraph.regions import audio, fusion, language, vision
from cortigraph.regions.blueprint import Blueprint
from cortigraph.regions.ports import Port
from cortigraph.regions.weights import WeightStore
from cortigraph.train.features import feature_keys

IMAGE = Port.parse("image", "image[channel=3,height=20,width=24] float32 raw")
AUDIO = Port.parse("audio", "audio[channel=1,height=16,width=16] float32 raw")
TEXT = Port.parse("text", "text[part=2,token=8] int64 raw")
CLASSES = ("a", "b", "c")


@pytest.fixture(scope="module")
def space() -> Space:
    sound = AUDIO.model_copy(update={"axes": audio.REGIONS[0].accepts[0].sized((1, 16, 16)).axes})
    return Space((IMAGE, sound), {"image": vision.REGIONS, "audio": audio.REGIONS}, fusion.REGIONS, CLASSES)


def _inputs(blueprint: Blueprint, batch: int = 4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {p.name: torch.randn(batch, *[s or 1 for s in p.sizes], generator=generator) for p in blueprint.inputs}


def test_whatever_is_drawn_or_mutated_type_checks_and_runs(space: Space) -> None:
    generator = np.random.default_rng(0)
    decisions, cells = space.sample(generator), set()
    for _ in range(60):
        blueprint = space.compose(decisions)
        assert blueprint.problems() == []
        cells.add(decisions[FUSION]["region"])
        decisions = space.mutate(decisions, generator)
    assert cells == {region.key for region in fusion.REGIONS}
    assert blueprint.build()(_inputs(blueprint)).shape == (4, len(CLASSES))


def test_a_mutation_changes_one_slot_and_never_its_parent(space: Space) -> None:
    generator = np.random.default_rng(1)
    parent = space.sample(generator)
    before = str(parent)
    for _ in range(40):
        child = space.mutate(parent, generator)
        assert str(parent) == before
        changed = [slot for slot in ("image", "audio") if child[slot] != parent[slot]]
        assert len(changed) <= 1


def test_the_same_seed_draws_the_same(space: Space) -> None:
    drawn = [space.sample(np.random.default_rng(7)) for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_json_gives_the_same_function_with_the_same_weights(space: Space, tmp_path: Path) -> None:
    store = WeightStore(tmp_path)
    blueprint = space.compose(space.sample(np.random.default_rng(3)))
    built = blueprint.build(store)
    hashes = {
        name: store.save(module.state_dict()) for name, module in built.regions.items() if len(module.state_dict())
    }
    known = blueprint.with_weights(hashes)
    again = Blueprint.from_json(known.to_json())
    assert again == known
    assert again.key == known.key != blueprint.key
    inputs = _inputs(blueprint)
    torch.testing.assert_close(again.build(store)(inputs), built.eval()(inputs), rtol=0, atol=0)


def test_a_copy_forgets_what_was_worked_out(space: Space) -> None:
    blueprint = space.compose(space.sample(np.random.default_rng(3)))
    before, ports = blueprint.key, blueprint.ports
    trained = blueprint.with_weights({"image": "sha256:" + "ab" * 32})
    assert trained.key != before
    assert trained.key == Blueprint.from_json(trained.to_json()).key
    assert trained.ports == ports


def test_what_is_known_is_not_run_again(space: Space) -> None:
    decisions = space.with_cell(space.sample(np.random.default_rng(0)), "product")
    pathway = space.compose(decisions).build().eval()
    inputs = _inputs(pathway.blueprint)
    values = pathway.run(inputs, pathway.needed())
    for module in pathway.regions.values():
        module.register_forward_hook(lambda module, *_: ran.append(module))
    ran: list[object] = []
    told = pathway.run({ref: values[ref] for ref in pathway.needed()})
    assert ran == [pathway.regions[FUSION]]
    torch.testing.assert_close(told["fusion.logits"], pathway(inputs))


def test_outputs_of_frozen_parts_are_told_apart(space: Space) -> None:
    decisions = space.with_cell(space.sample(np.random.default_rng(0)), "product")
    keys = []
    for region in ("001", "003"):  # the node has the name of its input
        decisions["image"] = {"region": f"vision.recognition/{region}", "arguments": {}}
        pathway = space.compose(decisions).build()
        keys.append(feature_keys(pathway, ["image.logits", "audio.logits"], "data/train"))
    assert keys[0]["image.logits"] != keys[1]["image.logits"]
    assert len({*keys[0].values()}) == 2


def test_one_input_needs_no_fusion() -> None:
    space = Space((IMAGE,), {"image": vision.REGIONS}, fusion.REGIONS, CLASSES)
    decisions = space.sample(np.random.default_rng(0))
    blueprint = space.compose(decisions)
    assert FUSION not in decisions
    assert not any(node.frozen for node in blueprint.nodes)
    assert blueprint.nodes[0].region.arguments["channels"] == 3  # as many as the data has


def test_a_frozen_encoder_gets_a_head_of_its_own() -> None:
    port = language.REGIONS[0].accepts[0].sized((2, 8)).model_copy(update={"name": "text"})
    space = Space((port,), {"text": language.REGIONS}, fusion.REGIONS, CLASSES)
    blueprint = space.compose(space.sample(np.random.default_rng(0)))
    assert [node.frozen for node in blueprint.nodes] == [True, False]
    assert blueprint.needed() == {"text.features"}
    assert blueprint.ports[blueprint.output].sizes == (len(CLASSES),)


def test_a_region_that_may_not_serve_is_named(space: Space) -> None:
    decisions = space.sample(np.random.default_rng(0))
    decisions["image"]["region"] = "audio.recognition/001"
    with pytest.raises(InputError, match=r"image: region audio\.recognition/001 may not serve here; there are: vision"):
        space.compose(decisions)


def test_a_blueprint_that_does_not_fit_says_why(space: Space) -> None:
    blueprint = space.compose(space.with_cell(space.sample(np.random.default_rng(0)), "product"))
    node = blueprint.node("image").model_copy(update={"inputs": ("audio",)})
    wrong = blueprint.model_copy(update={"nodes": (node, *blueprint.nodes[1:])})
    with pytest.raises(InputError, match="expected image, got audio"):
        wrong.build()
    with pytest.raises(InputError, match="expected a blueprint of version 1, got 9"):
        Blueprint.from_json('{"version": 9}')


def test_what_failed_is_drawn_no_more_for_that_input(space: Space) -> None:
    generator = np.random.default_rng(0)
    failed = [("image", {"region": region.key, "arguments": {}}) for region in vision.REGIONS[1:]]
    open_ = space.without(failed)
    drawn = [open_.sample(generator) for _ in range(20)]
    assert {one["image"]["region"] for one in drawn} == {vision.REGIONS[0].key}
    assert len({one["audio"]["region"] for one in drawn}) > 1
    assert not open_.exhausted
    assert space.without([*failed, ("image", {"region": vision.REGIONS[0].key, "arguments": {}})]).exhausted
    assert not space.without([("image", {**choice, "arguments": {"width": 8}}) for _, choice in failed]).barred


def test_what_cannot_be_built_leaves_a_record(space: Space) -> None:
    decisions = space.sample(np.random.default_rng(0))
    decisions["image"] = {"region": vision.REGIONS[0].key, "arguments": {"colour": "red"}}
    for _ in range(2):
        with pytest.raises(InputError, match="has no argument 'colour'"):
            space.compose(decisions)
    assert space.sketch(decisions).decisions == decisions
    child = space.mutate(decisions, np.random.default_rng(1))
    assert set(child) == set(decisions)

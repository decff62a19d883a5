"""Regions: declaration, building, weights, exact output ports."""

import pytest
import torch
from pydantic import ValidationError

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.regions.catalogue import built_in
from cortigraph.regions.ports import Port
from cortigraph.regions.region import Region
from cortigraph.regions.weights import WeightStore

REGIONS = built_in()[1]
LENET3 = next(region for region in REGIONS if region.key == "vision.recognition/001")


def changed(**values):
    return Region.model_validate({**LENET3.model_dump(), **values})


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.key)
class TestEveryRegion:
    """What holds for each region that comes with the package."""

    def test_json_round_trip(self, region):
        assert Region.model_validate_json(region.model_dump_json()) == region

    def test_declared_ports_are_what_it_emits(self, region):
        inputs = region.typical()
        exact = region.emits_for(*(port.sizes for port in inputs))
        outputs = region.build()(*(torch.ones(3, *p.sizes, dtype=getattr(torch, p.dtype)) for p in inputs))
        assert {port.name: (3, *port.sizes) for port in exact} == {k: tuple(v.shape) for k, v in outputs.items()}
        assert {port.name: str(value.dtype) for port in exact for value in [outputs[port.name]]} == {
            port.name: f"torch.{port.dtype}" for port in exact
        }

    def test_its_area_is_kept(self, region):
        area = next(area for area in built_in()[0] if area.key == region.area)
        for wanted in area.emits:
            assert any(port.name == wanted.name and port.fits(wanted) for port in region.emits)

    def test_one_sample_does_not_see_another(self, region):
        torch.manual_seed(0)
        module = region.build()
        values = [
            torch.randint(1, 99, (4, *p.sizes)) if p.dtype == "int64" else torch.randn(4, *p.sizes)
            for p in region.typical()
        ]
        together, alone = module(*values), module(*(value[2:3] for value in values))
        for name in together:
            torch.testing.assert_close(together[name][2:3], alone[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrong", ["", "a/b", "x" * 33, "Ä", "a b"])
def test_ids(wrong):
    with pytest.raises(ValidationError, match="id"):
        changed(id=wrong)


def test_ports_need_names_of_their_own():
    with pytest.raises(ValidationError, match="emits"):
        changed(emits=LENET3.emits[:1] * 2)
    with pytest.raises(ValidationError, match="accepts"):
        changed(accepts=())


def test_frozen_and_closed():
    with pytest.raises(ValidationError):
        LENET3.name = "other"
    with pytest.raises(ValidationError, match="extra"):
        changed(licese="MIT")


def test_unknown_builder():
    with pytest.raises(UnknownKeyError, match="did you mean"):
        changed(builder="lenet33").build()


def test_building_leaves_the_arguments_alone():
    region = changed(arguments={"width": 4})
    region.build(classes=3, width=16)
    assert region.arguments == {"width": 4}


def test_weights(tmp_path):
    store = WeightStore(tmp_path)
    trained = LENET3.build(classes=10)
    region = changed(arguments={"classes": 10}, weights=store.save(trained.state_dict()))
    image = torch.randn(2, 1, 28, 28)
    assert region.build(store)(image)["logits"].equal(trained(image)["logits"])
    with pytest.raises(InputError, match="pass the weight store"):
        region.build()
    with pytest.raises(InputError, match="do not suit its module"):
        region.build(store, classes=3)
    with pytest.raises(UnknownKeyError):
        region.build(WeightStore(tmp_path / "other"))


def test_emits_for_needs_no_weights_and_draws_no_random_numbers():
    region = changed(weights="sha256:" + "0" * 64)
    before = torch.random.get_rng_state()
    assert [port.name for port in region.emits_for((1, 28, 28))] == ["layer1", "layer2", "layer3", "features"]
    assert torch.random.get_rng_state().equal(before)


def test_emits_for_says_what_does_not_fit():
    with pytest.raises(InputError, match="takes 1 inputs; got 2"):
        LENET3.emits_for((1, 28, 28), (1, 28, 28))
    with pytest.raises(InputError, match="expected channel=1, got channel=3"):
        LENET3.emits_for((3, 28, 28))
    with pytest.raises(InputError, match=r"vision.recognition/001 can't take .*channel=1"):
        LENET3.emits_for((1, 28, 28), channels=3)


def test_undeclared_output():
    with pytest.raises(InputError, match="emits layer3, which it does not declare"):
        changed(emits=[p for p in LENET3.emits if p.name != "layer3"]).emits_for((1, 28, 28))


def test_wiring_problems():
    image = Port.parse("image", "image[channel=1,height=28,width=28] float32 raw")
    assert LENET3.accepts_problems([image], "node 'eye'") == []
    assert "expected 1 inputs (image), got 2" in LENET3.accepts_problems([image, image], "node 'eye'")[0]
    fusion = next(region for region in REGIONS if region.key == "fusion/concat")
    features = Port.parse("features", "image[feature=288] float32 features")
    logits = Port.parse("logits", "audio[class=10] float32 logits")
    assert fusion.accepts_problems([features, logits], "node 'joint'") == []
    problems = fusion.accepts_problems([features, image], "node 'joint'")
    assert problems
    assert all("node 'joint', input 1" in problem for problem in problems)


def test_variadic_shapes():
    fusion = next(region for region in REGIONS if region.key == "fusion/average")
    assert fusion.emits_for((3,), (3,), (3,))[0].sizes == (3,)
    with pytest.raises(InputError, match="takes any number of inputs"):
        fusion.emits_for((1, 2, 3, 4))


def test_typical_without_declared_shapes():
    assert changed(shapes=()).typical()[0].sizes == (1, 32, 32)

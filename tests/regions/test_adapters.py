"""Any module as a region, with one call: in a real Neo4j."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.graph.schema import REGION_DIMENSION
from cortigraph.regions import builders
from cortigraph.regions.adapters import Regions
from cortigraph.regions.blueprint import Blueprint, Node
from cortigraph.regions.weights import WeightStore
from tests.regions.modules import Mlp, Moody, Residual, example

ROOT = Path(__file__).parents[2]


@pytest.fixture
def regions(clean_store, home):
    return Regions(clean_store, home)


def residual(seed=0):
    torch.manual_seed(seed)
    return Residual()


def test_what_is_added_is_built_again(regions):
    module = residual()
    region = regions.add(module, area="vision.recognition", id="mine", example=example(module), description="Mine.")
    assert region.key == "vision.recognition/mine"
    assert regions.get(region.key) == region
    assert regions.list("vision.recognition") == [region]
    # The package's own area of that name, though the catalogue was empty; of any size, as that area says.
    assert [str(port) for port in regions.areas()[0].accepts] == ["image[channel=1,height=*,width=*] float32 raw"]
    assert str(region.accepts[0]) == "image[channel=3,height=*,width=*] float32 raw"
    assert (region.name, region.licence, region.builder) == ("Residual", "NOASSERTION", "graph")
    images = torch.randn(3, 3, 20, 17)
    with torch.no_grad():
        wanted, got = module.eval()(images), regions.build(region.key).eval()(images)
    assert all(torch.equal(wanted[name], got[name]) for name in wanted)
    row = regions.store.read("MATCH (r:Region) RETURN r.parameters AS n, size(r.embedding) AS d, r.flops > 0 AS f")
    assert row == [{"n": sum(p.numel() for p in module.parameters()), "d": REGION_DIMENSION, "f": True}]


def test_a_fresh_process_needs_no_code_of_the_users(regions, tmp_path):
    module, inputs = residual().eval(), example(Residual())
    region = regions.add(module, area="demo", id="fresh", example=inputs)
    torch.save(inputs[0], tmp_path / "inputs.pt")
    code = (
        "import sys, torch; from pathlib import Path\n"
        "from cortigraph.regions import Region, WeightStore\n"
        f"region = Region.model_validate_json(Path({os.fspath(tmp_path / 'region.json')!r}).read_text())\n"
        f"module = region.build(WeightStore(Path({os.fspath(regions.home.weights)!r}))).eval()\n"
        f"inputs = torch.load({os.fspath(tmp_path / 'inputs.pt')!r}, weights_only=True)\n"
        f"torch.save(module(inputs)['features'].detach(), {os.fspath(tmp_path / 'outputs.pt')!r})\n"
        "assert 'tests' not in sys.modules and 'timm' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    (tmp_path / "region.json").write_text(region.model_dump_json())
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path)
    outputs = torch.load(tmp_path / "outputs.pt", weights_only=True)
    assert torch.equal(outputs, module(*inputs)["features"])


def test_it_serves_in_a_blueprint(regions):
    region = regions.add(residual(), area="vision.recognition", id="mine", example=example(Residual()))
    image = region.accepts[0].sized((3, 12, 12)).model_copy(update={"name": "image"})
    headed = region.model_copy(update={"arguments": {**region.arguments, "classes": 4}})
    eye = Node(name="eye", region=headed, inputs=("image",))
    blueprint = Blueprint(inputs=(image,), nodes=(eye,), output="eye.logits", classes=("a", "b", "c", "d"))
    assert blueprint.problems() == []
    assert blueprint.ports["eye.map"].sizes == (8, 12, 12)
    weights = WeightStore(regions.home.weights)
    pathway = Blueprint.from_json(blueprint.to_json()).build(weights)
    assert pathway({"image": torch.zeros(2, 3, 12, 12)}).shape == (2, 4)
    frozen = blueprint.model_copy(update={"nodes": (eye.model_copy(update={"frozen": True}),)}).build(weights).train()
    assert not frozen.regions["eye"].network.training
    assert not any(value.requires_grad for value in frozen.parameters())
    trained = blueprint.with_weights({"eye": weights.save(pathway.regions["eye"].state_dict())}).build(weights)
    assert torch.equal(trained.regions["eye"].head.weight, pathway.regions["eye"].head.weight)


def test_the_same_again_changes_nothing_and_another_is_refused(regions):
    module = residual()
    options = {"area": "demo", "id": "one", "example": example(module)}
    first = regions.add(module, **options)
    before = regions.store.read("MATCH (n) WHERE NOT n:Migration RETURN properties(n) AS p ORDER BY n.key")
    assert regions.add(copy.deepcopy(module), **options) == first
    assert regions.store.read("MATCH (n) WHERE NOT n:Migration RETURN properties(n) AS p ORDER BY n.key") == before
    files = set(regions.home.weights.rglob("*.safetensors"))
    with pytest.raises(InputError, match=r"demo/one is there \(Residual\) and differs in weights; .*overwrite=True"):
        regions.add(residual(seed=1), **options)
    assert set(regions.home.weights.rglob("*.safetensors")) == files, "what is refused leaves nothing behind"
    second = regions.add(residual(seed=1), overwrite=True, **options)
    assert second.weights != first.weights
    third = regions.add(residual(seed=2), **{**options, "id": "two"}, derived_from=second.key)
    assert third.derived_from == "demo/one"


def test_the_users_module_stays_as_it_is(regions):
    module = residual().train()
    module.stem.weight.requires_grad_(False)
    state = copy.deepcopy(module.state_dict())
    chance = torch.random.get_rng_state()
    region = regions.add(module, area="demo", id="kept", example=example(module))
    torch.manual_seed(5)
    assert module.training
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in state.items())
    assert regions.build(region.key).network.stem.weight.requires_grad is False
    assert chance.shape == torch.random.get_rng_state().shape


def test_every_problem_at_once_and_nothing_is_written(regions):
    module = Mlp()
    nn.init.constant_(module.layers[0].bias, torch.nan)
    with pytest.raises(InputError) as caught:
        regions.add(module, area="Demo Area", id="x" * 33, derived_from="no/where", example=torch.zeros(2, 4))
    told = str(caught.value)
    assert len(caught.value.problems) == 4
    assert all(word in told for word in ("Demo Area", "x" * 33, "no/where", "layers.0.bias", "NaN"))
    with pytest.raises(InputError, match="graph of operations"):
        regions.add(Moody(), area="demo", id="moody", example=example(Moody()))
    with pytest.raises(InputError, match=r"nothing tells what the module takes; give example="):
        regions.add(Mlp(), area="demo", id="mlp")
    assert regions.store.read("MATCH (n) WHERE NOT n:Migration RETURN n") == []


def test_what_an_area_promises_is_held(regions):
    port = {"tokens": "text[row=2,token=*] int64 raw"}
    with pytest.raises(InputError, match=r"area vision\.recognition: every region of it gives features"):
        regions.add(_Bag(), area="vision.recognition", id="bag", accepts=port)
    region = regions.add(_Bag(), area="demo.text", id="bag", accepts=port, licence="MIT", trainable=False)
    assert [str(area.accepts[0]) for area in regions.areas()] == ["text[row=*,token=*] int64 raw"]
    assert (region.licence, region.trainable, region.emits[0].modality) == ("MIT", False, "text")
    assert regions.build(region.key, classes=2)(torch.ones(3, 2, 9, dtype=torch.int64))["logits"].shape == (3, 2)


def test_the_outputs_may_be_renamed(regions):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = nn.Linear(4, 6)

        def forward(self, x):
            return self.line(x), x[:, :2]

    emits = {"hidden": "any[feature=6] float32 features", "features": "any[feature=2] float32 features"}
    region = regions.add(Two(), area="demo", id="two", example=torch.randn(3, 4), emits=emits)
    outputs = regions.build(region.key)(torch.randn(3, 4))
    assert {name: value.shape[1] for name, value in outputs.items()} == {"hidden": 6, "features": 2}
    with pytest.raises(InputError, match="emits names hidden, but forward gives output1, output2"):
        regions.add(Two(), area="demo", id="x", example=torch.randn(3, 4), emits={"hidden": emits["hidden"]})


def test_a_builder_of_ones_own(regions, monkeypatch):
    monkeypatch.setattr(builders, "_registered", dict(builders._registered))

    @builders.builder("test-moody")
    def moody(width: int = 3) -> nn.Module:
        return _Named(width)

    module = _Named(5)
    options = {"area": "demo", "example": torch.randn(4, 4), "builder": "test-moody"}
    region = regions.add(module, id="moody", arguments={"width": 5}, **options)
    x = torch.randn(2, 4)
    assert torch.equal(regions.build(region.key)(x)["features"], module(x)["features"])
    with pytest.raises(InputError, match="does not make this module again"):
        regions.add(module, id="other", **options)
    with pytest.raises(UnknownKeyError, match="did you mean test-moody"):
        regions.add(module, id="other", **{**options, "builder": "test-mody"})


def test_a_timm_model_with_one_call(regions):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model("test_vit", pretrained=False, img_size=32)
    region = regions.add(model, area="vision.recognition", id="vit")
    assert (region.builder, region.name, region.licence) == ("timm", "test_vit", "Apache-2.0")
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(regions.build(region.key).eval()(images)["logits"], model.eval()(images))
    assert regions.build(region.key, classes=4)(images)["logits"].shape == (2, 4)
    model.blocks[0] = nn.Identity()  # timm does not make it so again: it goes as a program
    region = regions.add(model, area="vision.recognition", id="cut", example=images)
    assert region.builder == "graph"
    with torch.no_grad():
        assert torch.equal(regions.build(region.key).eval()(images)["features"], model.eval()(images))


def test_a_transformers_model_with_one_call(regions):
    library = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = library.BertConfig(
        vocab_size=99, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=37, num_labels=3
    )
    model = library.BertForSequenceClassification(config).eval()
    region = regions.add(model, area="language.encoding", id="bert", name="Tiny BERT")
    tokens = torch.stack([torch.randint(0, 99, (2, 7)), torch.ones(2, 7, dtype=torch.int64)], dim=1)
    with torch.no_grad():
        got = regions.build(region.key).eval()(tokens)
        assert torch.equal(got["logits"], model(input_ids=tokens[:, 0], attention_mask=tokens[:, 1]).logits)
    assert regions.build(region.key, classes=5)(tokens)["logits"].shape == (2, 5)


def test_by_name(regions):
    pytest.importorskip("timm")
    one = regions.add("timm:test_convnext", area="vision.recognition", id="a", example=torch.randn(2, 3, 32, 32))
    assert (
        regions.add("timm:test_convnext", area="vision.recognition", id="a", example=torch.randn(2, 3, 32, 32)) == one
    )


class _Bag(nn.Module):
    """The mean of the embeddings of the tokens that are there."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(40000, 8)

    def forward(self, tokens):
        there = tokens[:, 1, :, None].float()
        return (self.words(tokens[:, 0]) * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)


class _Named(nn.Module):
    """Gives a dict, and goes by values: only a builder makes it again."""

    def __init__(self, width):
        super().__init__()
        self.line = nn.Linear(4, width)

    def forward(self, x):
        if x.is_meta:
            return {"features": self.line(x)}
        return {"features": self.line(x) if x.sum() > 0 else self.line(-x)}

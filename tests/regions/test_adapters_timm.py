"""Models of timm as regions: without a store."""

import copy
import json

import pytest
import torch
from torch import nn

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.regions import builders
from cortigraph.regions.adapters import checks, timm_models

timm = pytest.importorskip("timm")

MODELS = [
    ("resnet10t", {}, 32),
    ("test_vit", {"img_size": 32, "num_classes": 0, "drop_path_rate": 0.1}, 32),
    ("mobilenetv3_small_050", {"drop_rate": 0.2}, 32),
    ("test_convnext", {"in_chans": 1, "num_classes": 7}, 32),
]


@pytest.fixture(scope="module", params=MODELS, ids=lambda param: param[0])
def pair(request):
    name, options, side = request.param
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, **options)
    images = torch.randn(3, options.get("in_chans", 3), side, side)
    found = timm_models.recipe(checks.alone(model), (images,), ())
    return model, images, found, json.loads(json.dumps(found.arguments))


def again(pair, **overrides):
    made = builders.get("timm").build(**pair[3], **overrides)
    made.load_state_dict(pair[2].state)
    return made


def test_it_computes_the_same(pair):
    model, images = copy.deepcopy(pair[0]).eval(), pair[1]
    with torch.no_grad():
        outputs, wanted = again(pair).eval()(images), model(images)
    assert torch.equal(outputs["logits" if model.num_classes else "features"], wanted)
    assert outputs["features"].shape == (3, pair[2].emits[-2].sizes[0])
    for port in pair[2].emits:
        if port.name in outputs:
            port.sized(tuple(outputs[port.name].shape[1:]))
    assert {port.name for port in pair[2].emits} >= set(outputs)
    assert len([port for port in pair[2].emits if port.semantics == "map"]) in (4, 5)


def test_new_classes_take_the_place_of_its_own(pair):
    made = again(pair, classes=3)
    outputs = made(pair[1])
    assert outputs["logits"].shape == (3, 3)
    assert made.model.num_classes == 0
    with torch.no_grad():
        headed, alone = (again(pair, **more).eval()(pair[1])["features"] for more in ({"classes": 3}, {}))
    assert torch.equal(headed, alone), "the features are those without a head"
    made.train()(pair[1])["logits"].sum().backward()
    assert all(value.grad is not None for value in made.parameters())
    trained = builders.get("timm").build(**pair[3], classes=3)
    trained.load_state_dict(made.state_dict())


def test_batch_norm_follows_the_mode():
    model = timm.create_model("resnet10t", pretrained=False)
    found = timm_models.recipe(checks.alone(model), (torch.randn(4, 3, 32, 32),), ())
    made = builders.get("timm").build(**found.arguments)
    made.load_state_dict(found.state)
    before = made.model.bn1.running_mean.clone()
    made.eval()(torch.randn(4, 3, 32, 32))
    assert torch.equal(made.model.bn1.running_mean, before)
    made.train()(torch.randn(4, 3, 32, 32))
    assert not torch.equal(made.model.bn1.running_mean, before)


def test_licence_and_ports_come_from_its_configuration():
    found = timm_models.recipe(checks.alone(timm.create_model("test_vit")), None, ())
    assert found.licence == "Apache-2.0"
    assert str(found.accepts[0]) == "image[channel=3,height=160,width=160] float32 raw"
    assert found.shapes == ((3, 160, 160),)


def test_a_replaced_classifier_is_followed():
    model = timm.create_model("resnet10t", pretrained=False)
    model.fc = nn.Linear(512, 5)
    found = timm_models.recipe(checks.alone(model), (torch.randn(2, 3, 32, 32),), ())
    assert found.arguments["options"] == {"num_classes": 5}


@pytest.mark.parametrize("change", ["layer", "dropout"])
def test_a_model_that_was_changed_is_refused(change):
    model = timm.create_model("resnet10t", pretrained=False)
    if change == "layer":
        model.layer1 = nn.Conv2d(64, 64, 3, padding=1)
    else:
        model.drop_rate = 0.9
    with pytest.raises(InputError, match="timm does not make resnet10t again"):
        timm_models.recipe(checks.alone(model), (torch.randn(2, 3, 32, 32),), ())


@pytest.mark.parametrize("name", ["hf-hub:timm/resnet18", "local-dir:/tmp", "../resnet18", "resnet17"])
def test_only_names_of_timm(name):
    with pytest.raises(UnknownKeyError):
        timm_models.create(name, {})


@pytest.mark.parametrize("option", ["pretrained_cfg", "checkpoint_path", "cache_dir", "pretrained", "features_only"])
def test_no_option_reads_files(option):
    with pytest.raises(InputError, match=f"{option} may not be used"):
        timm_models.create("resnet10t", {option: "x"})


def test_wrong_options_are_told():
    with pytest.raises(InputError, match="can't be made with"):
        timm_models.create("resnet10t", {"widht": 3})

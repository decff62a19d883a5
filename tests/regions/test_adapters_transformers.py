"""Models of transformers as regions: without a store, and without any network."""

import copy
import json

import pytest
import torch
from torch import nn

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.regions import builders
from cortigraph.regions.adapters import checks, named, transformers_models

library = pytest.importorskip("transformers")

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 37}


def bert(**more):
    return library.BertConfig(vocab_size=99, **SMALL, **more)


def vit(**more):
    return library.ViTConfig(image_size=32, patch_size=8, **SMALL, **more)


def wave():
    return library.Wav2Vec2Config(conv_dim=[16] * 7, **SMALL)


MODELS = {
    "bert": lambda: library.BertModel(bert()),
    "bert with a head": lambda: library.BertForSequenceClassification(bert(num_labels=3)),
    "bert that fills gaps": lambda: library.BertForMaskedLM(bert()),
    "vit": lambda: library.ViTModel(vit()),
    "vit with a head": lambda: library.ViTForImageClassification(vit(num_labels=3)),
    "eager vit": lambda: library.ViTModel(vit(attn_implementation="eager")),
    "wav2vec": lambda: library.Wav2Vec2Model(wave()),
    "gpt": lambda: library.GPT2Model(
        library.GPT2Config(vocab_size=99, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    ),
    "resnet": lambda: library.ResNetModel(
        library.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_channels=1)
    ),
}


@pytest.fixture(scope="module", params=MODELS, ids=list(MODELS))
def pair(request):
    torch.manual_seed(0)
    model = MODELS[request.param]()
    example = None
    if request.param == "wav2vec":
        example = (torch.randn(2, 4000),)
    if request.param == "resnet":
        example = (torch.randn(2, 1, 32, 32),)
    found = transformers_models.recipe(checks.alone(model), example, ())
    return model, found.example[0], found, json.loads(json.dumps(found.arguments))


def again(pair, **overrides):
    made = builders.get("transformers").build(**pair[3], **overrides)
    made.load_state_dict(pair[2].state)
    return made


def test_it_computes_the_same(pair):
    model, value, found, _ = pair
    model = copy.deepcopy(model).eval()
    with torch.no_grad():
        outputs = again(pair).eval()(value)
        if model.main_input_name == "input_ids":
            wanted = model(input_ids=value[:, 0], attention_mask=value[:, 1])
        else:
            wanted = model(value)
    if found.arguments.get("answers"):
        assert torch.equal(outputs["logits"], wanted.logits)
    elif getattr(wanted, "pooler_output", None) is not None:
        assert torch.equal(outputs["features"], wanted.pooler_output.flatten(1))
    elif "last_hidden_state" in wanted:
        torch.testing.assert_close(outputs["features"], wanted.last_hidden_state.mean(dim=1))
    assert outputs["features"].shape == (len(value), found.arguments["width"])


def test_it_learns_with_new_classes(pair):
    made = again(pair, classes=3).train()
    outputs = made(pair[1])
    assert outputs["logits"].shape == (2, 3)
    outputs["logits"].square().sum().backward()
    learning = [value.grad is not None for value in made.parameters() if value.requires_grad]
    assert sum(learning) / len(learning) > 0.9
    trained = builders.get("transformers").build(**pair[3], classes=3)
    trained.load_state_dict(made.state_dict())


def test_texts_of_any_length_with_their_padding():
    found = transformers_models.recipe(checks.alone(MODELS["bert that fills gaps"]()), None, ())
    made = builders.get("transformers").build(**found.arguments).eval()
    ids = torch.randint(0, 99, (1, 5))
    padded = torch.cat([ids, torch.zeros(1, 4, dtype=torch.int64)], dim=1)
    mask = torch.tensor([[1] * 5 + [0] * 4])
    alone = made(torch.stack([ids, torch.ones_like(ids)], dim=1))["features"]
    torch.testing.assert_close(made(torch.stack([padded, mask], dim=1))["features"], alone)
    with pytest.raises(InputError, match="up to 512 tokens"):
        made(torch.ones(1, 2, 600, dtype=torch.int64))


def test_ports():
    told = {name: str(transformers_models._accepts(MODELS[name]())) for name in ("bert", "vit", "wav2vec")}
    assert told == {
        "bert": "text[row=2,token=*] int64 raw",
        "vit": "image[channel=3,height=32,width=32] float32 raw",
        "wav2vec": "audio[time=*] float32 raw",
    }


def test_a_model_that_was_changed_is_refused():
    model = MODELS["vit"]()
    model.layernorm = nn.Identity()
    with pytest.raises(InputError, match="does not make ViTModel again"):
        transformers_models.recipe(checks.alone(model), None, ())


def test_an_encoder_with_a_decoder_is_refused():
    config = library.T5Config(vocab_size=99, d_model=32, d_kv=8, d_ff=37, num_layers=1, num_heads=2)
    with pytest.raises(InputError, match="give its encoder alone"):
        transformers_models.recipe(checks.alone(library.T5Model(config)), None, ())


@pytest.mark.parametrize("name", ["os.system", "pipeline", "AutoModel", "BertConfig", "__name__", "NoModel"])
def test_only_model_classes_of_the_package(name):
    with pytest.raises((UnknownKeyError, InputError)):
        transformers_models.create(name, {}, "sdpa")


def test_nothing_in_a_configuration_names_code_or_weights():
    config = {
        "auto_map": {"AutoModel": "x--y.Z"},
        "backbone_config": {"use_pretrained_backbone": True, "_name_or_path": "/x"},
    }
    assert transformers_models._plain(config) == {"backbone_config": {"use_pretrained_backbone": False}}
    with pytest.raises(InputError, match="attention"):
        builders.get("transformers").build(model="ViTModel", config={}, width=32, attention="kernels-community/x")


def test_by_folder(tmp_path):
    model = MODELS["bert with a head"]().eval()
    model.save_pretrained(tmp_path)
    found = named.load(f"transformers:{tmp_path}")
    assert type(found) is type(model)
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in model.state_dict().items())
    with pytest.raises(InputError, match=r"config\.json"):
        named.load(f"transformers:{tmp_path / 'other'}")
    assert not named.names_a_model("resnet18")

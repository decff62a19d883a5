"""What people really pass to `regions.add`: each is added, or told in one line what to give."""

from __future__ import annotations

import functools
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cortigraph.graph.errors import InputError
from cortigraph.regions.adapters import Regions

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*nested tensors:UserWarning"),
]
LINE, X = nn.Linear(16, 4), torch.randn(2, 16)
IMAGE = torch.randn(2, 3, 16, 16)


class Words(nn.Module):
    def __init__(self, rows: int) -> None:
        super().__init__()
        self.table, self.line = nn.Embedding(rows, 16), nn.Linear(16, 4)

    def forward(self, ids):
        return self.line(self.table(ids).mean(1))


class Gives(nn.Module):
    """A layer whose answer is made into something else."""

    def __init__(self, make) -> None:
        super().__init__()
        self.line, self.make = nn.Linear(16, 4), make

    def forward(self, x):
        return self.make(self.line(x))


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(16, 4)

    def forward(self, x, y):
        return self.line(x) + self.line(y)


class Keyword(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(16, 4)

    def forward(self, x, *, scale):
        return self.line(x) * scale


class Steps(nn.Module):
    """Takes a number beside its tensor, and does without."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(16, 16)

    def forward(self, x, steps: int = 2):
        for _ in range(steps):
            x = torch.relu(self.line(x))
        return x


class Shapely(nn.Module):
    """Asks the size of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, image):
        if image.shape[2] > 20:
            image = nn.functional.avg_pool2d(image, 2)
        return self.conv(image).mean(dim=(2, 3))


class Lightning(nn.Module):
    """As training frameworks wrap a network."""

    def __init__(self, forward: bool) -> None:
        super().__init__()
        self.model = nn.Linear(16, 4)
        if forward:
            self.forward = lambda x: self.model(x)  # type: ignore[method-assign]

    def training_step(self, batch, _index):
        return self.model(batch).sum()


class Pipeline:
    def __init__(self) -> None:
        self.model = nn.Linear(16, 4)


class Tokenizer:
    def tokenize(self, text):
        return text.split()


class Estimator:
    def fit(self, x, y):
        return self

    def predict(self, x):
        return x


def ready() -> nn.Module:
    return nn.Linear(16, 4)


def normed() -> nn.Module:
    return nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU()).train()


def transformer() -> nn.Module:
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)

        def forward(self, source, target):
            return self.inner(source, target).mean(1)

    return Whole()


IDS = torch.tensor([[1, 2, 0, 3], [3, 0, 1, 1]])
SEQUENCE = torch.randn(2, 5, 8)
# name → what is passed, its example
ADDED = {
    "compiled": (lambda: torch.compile(nn.Linear(16, 4)), X),
    "compiled in place": (lambda: _compiled_in_place(), X),
    "data parallel": (lambda: nn.DataParallel(nn.Linear(16, 4)), X),
    "wrapper with a forward": (lambda: Lightning(forward=False).model, X),
    "two inputs": (Two, (X, X)),
    "a number with a default": (Steps, X),
    "training, batch norm, one sample": (normed, X[:1]),
    "a tuple": (lambda: Gives(lambda y: (y, y + 1)), X),
    "a list": (lambda: Gives(lambda y: [y, y + 1]), X),
    "a dict": (lambda: Gives(lambda y: {"one": y, "two": y + 1}), X),
    "a dict with nothing in it": (lambda: Gives(lambda y: {"one": y, "two": None}), X),
    "no parameters": (nn.Flatten, IMAGE),
    "the identity": (nn.Identity, X),
    "control flow by size": (Shapely, IMAGE),
    "100 words": (lambda: Words(100), IDS),
    "1000 words": (lambda: Words(1000), IDS),
    "5000 words": (lambda: Words(5000), IDS),
    "4 words": (lambda: Words(4), IDS),
    "40000 words": (lambda: Words(40_000), IDS),
    "a transformer": (transformer, (SEQUENCE, SEQUENCE)),
    "an encoder": (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1), SEQUENCE),
}


def _compiled_in_place() -> nn.Module:
    module = nn.Linear(16, 4)
    module.compile()
    return module


def _exported() -> object:
    return torch.export.export(nn.Linear(16, 4), (X,))


# name → what is passed, its example, words of the message
REFUSED = {
    "state dict": (lambda: dict(LINE.state_dict()), X, "a state dict.*load_state_dict"),
    "ordered dict": (lambda: OrderedDict(LINE.state_dict()), X, "a state dict.*load_state_dict"),
    "checkpoint": (lambda: {"state_dict": LINE.state_dict(), "epoch": 3}, X, r"checkpoint\['state_dict'\]"),
    "checkpoint with a module": (lambda: {"model": LINE, "epoch": 3}, X, "its key 'model'"),
    "empty dict": (dict, X, "without a module"),
    "pickle": (lambda: Path("model.pth"), X, "never loaded here.*weights_only=True"),
    "pickle as text": (lambda: "folder/model.pt", X, "never loaded here.*weights_only=True"),
    "safetensors": (lambda: Path("model.safetensors"), X, "load_file"),
    "onnx": (lambda: "model.onnx", X, "ONNX.*made from"),
    "no such thing": (lambda: "resnet18", X, "timm:NAME.*'resnet18'"),
    "traced": (lambda: torch.jit.trace(nn.Linear(16, 4), X), X, "TorchScript.*made from"),
    "scripted": (lambda: torch.jit.script(nn.Linear(16, 4)), X, "TorchScript.*made from"),
    "exported": (_exported, X, "ExportedProgram.*exported from"),
    "class": (lambda: nn.Linear, X, r"the class Linear; give an instance.*Linear\(…\)"),
    "another class": (lambda: Pipeline, X, "the class Pipeline"),
    "function": (lambda: ready, X, "the function ready.*call it"),
    "partial": (lambda: functools.partial(nn.Linear, 16, 4), X, "call it"),
    "lambda": (lambda: lambda x: x, X, "call it"),
    "wrapper without a forward": (lambda: Lightning(forward=False), X, r"without a forward.*its \.model"),
    "list of layers": (lambda: [nn.Linear(16, 4)], X, "nn.Sequential"),
    "module list": (lambda: nn.ModuleList([nn.Linear(16, 4)]), X, "without a forward"),
    "pipeline": (Pipeline, X, r"its \.model"),
    "tokenizer": (Tokenizer, X, "give the model"),
    "optimizer": (lambda: torch.optim.SGD(LINE.parameters()), X, "the module that it trains"),
    "array": (lambda: np.zeros((3, 4)), X, "an array of numbers"),
    "tensor": (lambda: torch.zeros(3, 4), X, "an array of numbers"),
    "estimator": (Estimator, X, "no module of torch"),
    "nothing": (lambda: None, X, "returns it"),
    "number": (lambda: 7, X, "got int"),
    "half precision": (lambda: nn.Linear(16, 4).half(), X, r"more like it\).*float\(\)"),
    "meta device": (lambda: nn.Linear(16, 4, device="meta"), X, "load its weights first"),
    "lazy": (lambda: nn.LazyLinear(4), X, "run the module once"),
    "too few inputs": (Two, X, "give example="),
    "a keyword": (Keyword, X, "give example="),
    "words beyond the table": (lambda: Words(3), IDS, "IndexError.*give example="),
    "nothing given": (lambda: Gives(lambda y: None), X, "wrap the module"),
    "complex": (lambda: Gives(lambda y: torch.complex(y, y)), X, "complex64"),
    "nested": (lambda: Gives(lambda y: torch.nested.nested_tensor([y[0], y[1]])), X, "plain tensor"),
    "nested lists": (lambda: Gives(lambda y: [[y], [y]]), X, "wrap the module"),
    "no batch": (lambda: Gives(lambda y: y.sum()), X, "batch axis"),
    "flow by values": (lambda: Gives(lambda y: y if float(y.sum()) > 0 else -y), X, "register a builder"),
    "example of names": (lambda: nn.Linear(16, 4), {"x": X}, r"in the order of forward.*\(x\)"),
    "example of numpy": (lambda: nn.Linear(16, 4), np.zeros((2, 16)), "as_tensor"),
    "example of float64": (lambda: nn.Linear(16, 4), X.double(), "float64; convert it"),
    "example without a batch": (lambda: nn.Linear(16, 4), torch.tensor(1.0), "batch axis"),
}  # fmt: skip


@pytest.fixture
def regions(clean_store, home):
    return Regions(clean_store, home)


@pytest.mark.parametrize("name", ADDED)
def test_it_is_added_and_twice_is_once(regions, name):
    make, example = ADDED[name]
    torch.manual_seed(0)
    module = make()
    region = regions.add(module, area="demo", id="one", example=example)
    inputs = example if isinstance(example, tuple) else (example,)
    with torch.no_grad():
        assert regions.build(region.key).eval()(*inputs)["features"].shape[0] == len(inputs[0])
    assert regions.get(region.key) == region
    assert regions.add(module, area="demo", id="one", example=example) == region, "twice is once"


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_told_in_one_line_what_to_do(regions, name):
    make, example, words = REFUSED[name]
    with pytest.raises(InputError, match=words) as caught:
        regions.add(make(), area="demo", id="one", example=example)
    assert "\n" not in str(caught.value)
    assert regions.store.read("MATCH (n) WHERE NOT n:Migration RETURN n") == []


def test_what_a_compiled_module_keeps_frozen_stays_so(regions):
    module = nn.Linear(16, 4)
    module.bias.requires_grad_(False)
    key = regions.add(torch.compile(module), area="demo", id="one", example=X).key
    assert not regions.build(key).network.bias.requires_grad


@pytest.mark.parametrize("wrong", [{"id": 5}, {"area": 5}, {"licence": 5}, {"name": 5}, {"derived_from": Path("a")}])
def test_what_has_to_be_a_text_is_one(wrong: dict[str, object], regions: Regions) -> None:
    with pytest.raises(InputError, match=rf"{next(iter(wrong))}: expected a text, got .*; write '"):
        regions.add(LINE, **{"area": "test.texts", "id": "a", "example": X, **wrong})


@pytest.mark.parametrize("ports", ["image", ["image"], []])
def test_ports_that_are_none_are_told(ports: object, regions: Regions) -> None:
    with pytest.raises(InputError, match="expected ports as a dict, such as"):
        regions.add(LINE, area="test.texts", id="a", example=X, accepts=ports)


def test_torch_says_nothing_itself(regions: Regions, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="can't be taken as a graph"):
        regions.add(Gives(lambda y: y if y.sum() > 0 else -y), area="test.texts", id="a", example=X)
    assert capfd.readouterr() == ("", "")

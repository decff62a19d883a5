"""The recognition networks against the paper's table, layer by layer."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from cortigraph.regions import builders
from cortigraph.regions.convnets import ConvNet, Layer

# What each convolution puts out, before its pool: (channels, side), as the paper prints it.
TABLE = {
    ("lenet3", 28): [(8, 28), (16, 14), (32, 7)],
    ("lenet5", 112): [(8, 112), (16, 56), (32, 28), (64, 14), (128, 7)],
    ("mediumnet", 112): [(8, 112), (16, 56), (32, 28), (64, 14)],
    ("sparsenet", 112): [(12, 112), (1, 112), (8, 112), (16, 56), (32, 28), (64, 14), (128, 7)],
}
KERNELS = {
    "lenet3": [5, 3, 3],
    "lenet5": [5, 3, 3, 3, 3],
    "mediumnet": [3, 3, 3, 3],
    "sparsenet": [3, 1, 5, 3, 3, 3, 3],
}
NETWORKS = sorted(KERNELS)


@pytest.mark.parametrize(("name", "side"), TABLE)
def test_convolutions_are_the_papers(name, side):
    network = builders.get(name).build()
    found = []
    for layer in network.layers:
        layer.register_forward_hook(lambda _, __, out: found.append((out.shape[1], out.shape[2])))
    network(torch.zeros(1, 1, side, side))
    assert found == TABLE[name, side]
    assert [layer.kernel_size[0] for layer in network.layers] == KERNELS[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_only_sparsenet_is_depthwise(name):
    groups = [layer.groups for layer in builders.get(name).build().layers]
    assert groups == ([1, 1, 1, 8, 16, 32, 64] if name == "sparsenet" else [1] * len(groups))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("side", [28, 112])
def test_taps(name, side):
    outputs = builders.get(name).build(classes=10)(torch.zeros(2, 1, side, side))
    taps = [value for key, value in outputs.items() if key.startswith("layer")]
    assert len(taps) == len(KERNELS[name])
    expected = side
    for tap, pooled in zip(taps, builders.get(name).build().pools, strict=True):
        expected = -(-expected // 2) if pooled else expected
        assert tap.shape[2:] == (expected, expected)
    assert outputs["features"].shape == (2, taps[-1].shape[1] * 9)
    assert outputs["logits"].shape == (2, 10)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 64), (17, 17)])
def test_any_input_size_survives(name, size):
    outputs = builders.get(name).build(classes=3)(torch.randn(2, 1, *size))
    assert all(value.isfinite().all() for value in outputs.values())


def test_pool_before_activation_is_the_papers_order():
    torch.manual_seed(0)
    network = builders.get("lenet5").build()
    x = image = torch.randn(3, 1, 28, 28)
    outputs = network(image)
    for number, layer in enumerate(network.layers, start=1):
        x = functional.max_pool2d(functional.leaky_relu(layer(x)), 2, ceil_mode=True)
        torch.testing.assert_close(outputs[f"layer{number}"], x)


@pytest.mark.parametrize("name", NETWORKS)
def test_width_scales_every_layer_but_the_bottleneck(name):
    narrow, wide = (builders.get(name).build(width=width).layers for width in (4, 8))
    assert [layer.out_channels * 2 for layer in narrow if layer.out_channels > 1] == [
        layer.out_channels for layer in wide if layer.out_channels > 1
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_neither_batch_normalisation_nor_dropout(name):
    kinds = {type(module) for module in builders.get(name).build(classes=10).modules()}
    assert kinds <= {ConvNet, nn.ModuleList, nn.Conv2d, nn.Linear}


def test_arguments():
    network = builders.get("lenet3").build(channels=3, classes=7, grid=2)
    outputs = network(torch.zeros(1, 3, 28, 28))
    assert outputs["features"].shape == (1, 128)
    assert outputs["logits"].shape == (1, 7)
    assert "logits" not in builders.get("lenet3").build()(torch.zeros(1, 1, 28, 28))


@pytest.mark.parametrize("name", NETWORKS)
def test_signal_keeps_its_size_at_the_start(name):
    torch.manual_seed(0)
    features = builders.get(name).build(width=16)(torch.randn(64, 1, 28, 28))["features"]
    assert 0.03 < features.std() < 10


def test_it_learns():
    torch.manual_seed(0)
    network = ConvNet(1, [Layer(3, 4), Layer(3, 8)], classes=2)
    images = torch.randn(64, 1, 12, 12)
    target = (images.mean(dim=(1, 2, 3)) > 0).long()
    images += (2.0 * target - 1).view(-1, 1, 1, 1)
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(30):
        optimiser.zero_grad()
        loss = functional.cross_entropy(network(images)["logits"], target)
        loss.backward()
        optimiser.step()
    assert loss < 0.1

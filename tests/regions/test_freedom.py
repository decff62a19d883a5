"""Ports say what a module really takes: every size that a port leaves free was tried."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cortigraph.graph.errors import InputError
from cortigraph.regions.adapters import checks, plain
from cortigraph.regions.adapters.freedom import free_axes, settled, sizes, trials
from cortigraph.regions.ports import Port

IMAGE = Port.parse("image", "image[channel=1,height=*,width=*] float32 raw")


class _Looks(nn.Module):
    """Computes another thing of large pictures than of small ones."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, image):
        x = self.conv(image).mean(dim=(2, 3))
        return -x if image.shape[2] > 30 else x


class _Square(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, image):
        assert image.shape[2] == image.shape[3]
        return self.conv(image).mean(dim=(2, 3))


class _Halves(nn.Module):
    """A network that takes multiples of seven alone."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(1, 4, 7, 7), nn.ConvTranspose2d(4, 1, 7, 7)

    def forward(self, image):
        return (self.up(self.down(image)) + image).mean(dim=(2, 3))


def _least() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 24), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _free() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


FIXED = {
    "flatten and linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 8)),
    "features as wide as the picture": nn.Flatten,
    "height free, width fixed": lambda: nn.Sequential(nn.Linear(28, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "multiples of seven": _Halves,
    "a least size": _least,
    "squares": _Square,
}


@pytest.mark.parametrize("name", FIXED)
def test_what_takes_its_example_alone_says_so(name):
    found = plain.recipe(checks.alone(FIXED[name]()), plain.Wanted(example=(torch.randn(2, 1, 28, 28),), area=(IMAGE,)))
    assert str(found.accepts[0]) == "image[channel=1,height=28,width=28] float32 raw"


@pytest.mark.parametrize("make", [_free, _Looks])
def test_what_a_port_leaves_free_gives_what_the_module_gives(make):
    torch.manual_seed(0)
    module = make()
    found = plain.recipe(checks.alone(module), plain.Wanted(example=(torch.randn(2, 1, 28, 28),), area=(IMAGE,)))
    again = plain.Graph(**found.arguments).eval()
    again.load_state_dict(found.state)
    side = found.accepts[0].sizes[1]
    for height in (20, 28, 50) if side is None else (side,):
        image = torch.randn(2, 1, height, 28)
        torch.testing.assert_close(again(image)["features"], module.eval()(image))


def test_a_free_one_is_free():
    found = plain.recipe(checks.alone(_free()), plain.Wanted(example=(torch.randn(2, 1, 28, 28),), area=(IMAGE,)))
    assert found.accepts == (IMAGE,)


def test_what_a_user_declares_is_tried_too():
    found = plain.recipe(checks.alone(_least()), plain.Wanted(accepts=(IMAGE,)))
    assert str(found.accepts[0]) == "image[channel=1,height=32,width=32] float32 raw"


def test_words_and_their_mask_have_one_size():
    port = Port.parse("ids", "text[token=*] int64 raw")
    ports = (port, port.model_copy(update={"name": "mask"}))
    example = (torch.tensor([[1, 2, 3, 4]]), torch.ones(1, 4, dtype=torch.int64))
    assert free_axes(ports, example) == [((0, 1), (1, 1))]

    def run(ids, mask):
        return ids * mask

    assert settled(run, ports, example) == ports
    assert {value.max().item() for value in (some[0] for some in trials(example, free_axes(ports, example)))} <= {
        2,
        3,
        4,
    }


@pytest.mark.parametrize("size", [1, 2, 3, 28, 32, 224])
def test_sizes_tried_are_smaller_and_larger_and_no_multiples_alone(size):
    tried = sizes(size)
    assert size not in tried
    assert all(one > 0 for one in tried)
    assert max(tried) > size
    assert size < 2 or min(tried) < size
    assert any(one % 2 != size % 2 for one in tried)


def test_an_error_of_the_runs_is_no_freedom():
    def run(image):
        if image.shape[2] != 28:
            raise InputError("no")

    assert settled(run, (IMAGE,), (torch.zeros(2, 1, 28, 28),))[0].sizes == (1, 28, 28)

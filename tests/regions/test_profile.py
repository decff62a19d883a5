"""Profiles are measured."""

import pytest
import torch
from torch import nn

from cortigraph.regions import builders
from cortigraph.regions.ports import Port
from cortigraph.regions.profile import profile

IMAGE = Port.parse("image", "image[channel=1,height=28,width=28] float32 raw")


def test_parameters_and_flops_by_hand():
    found = profile(builders.get("lenet3").build(), [IMAGE])
    assert found.parameters == (25 * 8 + 8) + (9 * 8 * 16 + 16) + (9 * 16 * 32 + 32)
    assert found.flops == 2 * (28 * 28 * 25 * 8 + 14 * 14 * 9 * 8 * 16 + 7 * 7 * 9 * 16 * 32)


def test_latency_is_measured():
    sides = [Port.parse("image", f"image[channel=1,height={n},width={n}] float32 raw") for n in (28, 224)]
    small, large = (profile(builders.get("sparsenet").build(), [side]) for side in sides)
    assert 0 < small.latency_ms < large.latency_ms < large.batch_latency_ms


def test_nothing_is_left_changed():
    torch.set_num_threads(2)
    module = nn.Dropout().train()
    profile(module, [IMAGE])
    assert module.training
    assert torch.get_num_threads() == 2
    assert torch.is_grad_enabled()


def test_threads_come_back_after_a_failure():
    torch.set_num_threads(2)
    with pytest.raises(RuntimeError):
        profile(nn.Linear(3, 3), [IMAGE])
    assert torch.get_num_threads() == 2

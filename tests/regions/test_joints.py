"""Fusion cells over features."""

import pytest
import torch

from cortigraph.graph.errors import InputError
from cortigraph.regions import builders

LOGITS = (torch.linspace(-1, 1, 30).view(3, 10), torch.linspace(2, -2, 30).view(3, 10))
TAPS = (torch.randn(3, 8, 14, 14), torch.randn(3, 16, 7, 7), torch.randn(3, 32), torch.randn(3, 64, 2, 2))
CELLS = {
    "concat": ({"sizes": [32, 64]}, (TAPS[2], TAPS[3])),
    "gated": ({"sizes": [32, 64]}, (TAPS[2], TAPS[3])),
    "mfas": ({"sizes": [8, 16, 32, 64], "modalities": 2, "layers": 2, "activations": ["relu", "sigmoid"]}, TAPS),
}


def cell(name, **more):
    torch.manual_seed(0)
    arguments, parts = CELLS[name]
    return builders.get(name).build(**arguments, classes=10, **more), parts


@pytest.mark.parametrize("name", CELLS)
class TestEveryJoint:
    """What holds for each of them."""

    def test_it_starts_as_the_product(self, name):
        joint, parts = cell(name)
        product = builders.get("product").build(classes=10)
        torch.testing.assert_close(joint(*parts, *LOGITS)["logits"], product(*LOGITS)["logits"])

    def test_it_learns_a_correction(self, name):
        joint, parts = cell(name)
        target = torch.tensor([3, 5, 7])
        optimiser = torch.optim.Adam(joint.parameters(), 0.05)
        before = None
        for _ in range(60):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(joint(*parts, *LOGITS)["logits"], target)
            before = loss.item() if before is None else before
            loss.backward()
            optimiser.step()
        assert loss < before / 5
        assert all(parameter.grad is not None for parameter in joint.parameters())

    def test_without_residual(self, name):
        joint, parts = cell(name, residual=False)
        assert joint(*parts)["logits"].shape == (3, 10)
        assert joint(*parts)["logits"].std() > 0

    def test_wrong_number_of_parts(self, name):
        joint, parts = cell(name)
        with pytest.raises(InputError, match=f"{name} was built for {len(parts) + 2} parts, got {len(parts)}"):
            joint(*parts)


def test_gates_choose_between_branches():
    joint, parts = cell("gated", hidden=4)
    with torch.no_grad():
        joint.gate.bias[:4] = 100.0
    first = joint.values[0](parts[0]).tanh()
    torch.testing.assert_close(joint.join([parts[0], parts[1].mean((2, 3))]), first)


def test_mfas_is_the_papers_recursion():
    joint, taps = cell("mfas", residual=False)
    x = [tap.mean((2, 3)) if tap.dim() == 4 else tap for tap in taps]
    first = torch.relu(joint.layers[0](torch.cat([x[0], x[1]], 1)))
    second = torch.sigmoid(joint.layers[1](torch.cat([x[2], x[3], first], 1)))
    torch.testing.assert_close(joint(*taps)["logits"], joint.head(second))


def test_mfas_counts_its_arguments():
    with pytest.raises(InputError) as caught:
        builders.get("mfas").build(sizes=[8], modalities=2, layers=2, activations=["relu"], classes=10)
    assert len(caught.value.problems) == 2


def test_three_modalities():
    parts = [torch.randn(2, size) for size in (4, 5, 6)]
    opinions = [torch.randn(2, 3) for _ in parts]
    for name in ("concat", "gated"):
        joint = builders.get(name).build(sizes=[4, 5, 6], classes=3)
        assert joint(*parts, *opinions)["logits"].shape == (2, 3)

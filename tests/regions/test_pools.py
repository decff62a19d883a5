"""Fusion rules over logits."""

import pytest
import torch

from cortigraph.graph.errors import InputError
from cortigraph.regions import builders
from cortigraph.regions.fusion import REGIONS


@pytest.fixture
def parts():
    torch.manual_seed(0)
    return torch.randn(5, 4), torch.randn(5, 4) * 3


def test_average_is_the_mean_of_probabilities(parts):
    logits = builders.get("average").build()(*parts)["logits"]
    expected = torch.stack([part.softmax(-1) for part in parts]).mean(0)
    torch.testing.assert_close(logits.exp(), expected)


def test_product_starts_as_the_product(parts):
    cell = builders.get("product").build(classes=4)
    torch.testing.assert_close(cell.weights, torch.ones(2))
    expected = parts[0].softmax(-1) * parts[1].softmax(-1)
    expected = expected / expected.sum(-1, keepdim=True)
    torch.testing.assert_close(cell(*parts)["logits"].softmax(-1), expected)


def test_product_is_bayes_rule_for_independent_branches():
    """Two observations that are independent given the class: the product of the posteriors is the joint posterior."""
    torch.manual_seed(0)
    prior = torch.tensor([0.6, 0.3, 0.1])
    first, second = torch.rand(3, 5).softmax(1), torch.rand(3, 6).softmax(1)  # p(observation | class)
    posteriors = [(prior[:, None] * seen).log().T for seen in (first, second)]
    cell = builders.get("product").build(classes=3)
    with torch.no_grad():
        cell.bias.copy_(-prior.log())
    joint = prior[:, None, None] * first[:, :, None] * second[:, None, :]
    expected = (joint / joint.sum(0)).permute(1, 2, 0).reshape(30, 3)
    a, b = posteriors[0].repeat_interleave(6, 0), posteriors[1].repeat(5, 1)
    torch.testing.assert_close(cell(a, b)["logits"].softmax(-1), expected)


def test_product_has_the_single_branches_as_points(parts):
    cell = builders.get("product").build(classes=4)
    with torch.no_grad():
        cell.raw[1] = -100.0
    torch.testing.assert_close(cell(*parts)["logits"].softmax(-1), parts[0].softmax(-1))


def test_product_weights_are_never_negative(parts):
    cell = builders.get("product").build(classes=4)
    with torch.no_grad():
        cell.raw.copy_(torch.tensor([-50.0, 50.0]))
    assert (cell.weights >= 0).all()


def test_select(parts):
    for index in (0, 1):
        logits = builders.get("select").build(index=index)(*parts)["logits"]
        torch.testing.assert_close(logits, parts[index].log_softmax(-1))
    with pytest.raises(InputError, match="keeps part 2, but there are 2"):
        builders.get("select").build(index=2)(*parts)


def test_wrong_number_of_parts(parts):
    with pytest.raises(InputError, match="built for 3 parts, got 2"):
        builders.get("product").build(classes=4, modalities=3)(*parts)


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.id)
def test_what_each_cell_joins_is_declared(region):
    semantics = {port.semantics for port in region.accepts}
    assert region.variadic
    assert "logits" in semantics
    assert ("features" in semantics) == (region.id in ("concat", "gated", "mfas"))
    assert ("map" in semantics) == (region.id == "mfas")

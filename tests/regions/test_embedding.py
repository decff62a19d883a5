"""Embeddings: what is alike lies near, whatever it is called."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from cortigraph.graph.schema import REGION_DIMENSION
from cortigraph.regions.catalogue import built_in
from cortigraph.regions.embedding import VIEWS, card, embed_region
from cortigraph.regions.function import FUNCTION_DIMENSION, function
from cortigraph.regions.probes import probes
from cortigraph.regions.region import Region
from cortigraph.regions.structure import STRUCTURE_DIMENSION, structure
from cortigraph.regions.weights import WeightStore

REGIONS = {region.key: region for region in built_in()[1]}
LENET3, SPARSE = REGIONS["vision.recognition/001"], REGIONS["vision.recognition/004"]


def cosine(a, b, view):
    a, b = a[VIEWS[view]], b[VIEWS[view]]
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_dimensions():
    assert VIEWS["function"].stop == REGION_DIMENSION
    assert VIEWS["structure"].stop - VIEWS["structure"].start == STRUCTURE_DIMENSION == 64
    assert VIEWS["function"].stop - VIEWS["function"].start == FUNCTION_DIMENSION == 112


def test_same_module_under_another_name_is_nearer_than_another_module_under_a_like_name():
    own = embed_region(LENET3)
    renamed = embed_region(LENET3.model_copy(update={"name": "Zebra", "description": "Something else altogether."}))
    alike = embed_region(SPARSE.model_copy(update={"name": LENET3.name, "description": LENET3.description}))
    for view in ("structure", "function"):
        assert cosine(own, renamed, view) == pytest.approx(1, abs=1e-4)
        assert cosine(own, renamed, view) > cosine(own, alike, view) + 0.1
    assert cosine(own, renamed, "text") < cosine(own, alike, "text")


@pytest.mark.parametrize("key", ["vision.recognition/002", "fusion/mfas", "fusion/average", "language.encoding/001"])
def test_length_one_and_repeatable(key):
    first, second = embed_region(REGIONS[key]), embed_region(REGIONS[key])
    assert first.shape == (REGION_DIMENSION,)
    assert first.dtype == np.float32
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_same_in_another_process():
    code = (
        "import json; from cortigraph.regions.vision import REGIONS;"
        "from cortigraph.regions.embedding import embed_region; print(json.dumps(embed_region(REGIONS[0]).tolist()))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    np.testing.assert_allclose(json.loads(told.stdout), embed_region(LENET3), atol=1e-4)


def test_embedding_draws_no_random_numbers():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    embed_region(LENET3)
    assert torch.random.get_rng_state().equal(before)


def test_structure_sees_width_less_than_kind():
    narrow, wide = (structure(LENET3.build(width=width), LENET3.typical()) for width in (8, 16))
    other = structure(SPARSE.build(), SPARSE.typical())
    assert narrow @ wide > narrow @ other
    assert narrow @ wide < 1


def test_structure_does_not_see_weights():
    first, second = (structure(LENET3.build(), LENET3.typical()) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_function_does_not_see_scale_rotation_or_size():
    class Linear(torch.nn.Module):
        def __init__(self, matrix):
            super().__init__()
            self.matrix = matrix

        def forward(self, x):
            return {"features": x.flatten(1) @ self.matrix}

    torch.manual_seed(0)
    matrix = torch.randn(784, 8)
    rotation = torch.linalg.qr(torch.randn(8, 8))[0]
    plain, turned, twice = (
        function(Linear(m), LENET3.typical()) for m in (matrix, 3 * matrix @ rotation, torch.cat([matrix, matrix], 1))
    )
    np.testing.assert_allclose(plain, turned, atol=1e-4)
    np.testing.assert_allclose(plain, twice, atol=1e-4)


def test_function_sees_weights(tmp_path):
    store = WeightStore(tmp_path)
    torch.manual_seed(5)
    trained = Region.model_validate({**LENET3.model_dump(), "weights": store.save(LENET3.build().state_dict())})
    fresh, other = embed_region(LENET3), embed_region(trained, store)
    assert cosine(fresh, other, "structure") == pytest.approx(1, abs=1e-5)
    assert cosine(fresh, other, "function") < 0.99


def test_a_constant_function_has_no_direction():
    class Constant(torch.nn.Module):
        def forward(self, x):
            return {"features": torch.ones(len(x), 4)}

    assert not function(Constant(), LENET3.typical()).any()


@pytest.mark.parametrize("region", REGIONS.values(), ids=lambda region: region.key)
def test_probes_of_every_port(region):
    for port in region.typical():
        few, many = probes(port, 3), probes(port, 17)
        assert many.shape == (17, *port.sizes)
        assert str(many.dtype) == f"torch.{port.dtype}"
        assert few.equal(many[:3])


def test_card_names_what_it_takes_and_gives():
    assert card(LENET3).startswith("LeNet3. ")
    assert "Takes image raw. Gives image map, image features, image logits." in card(LENET3)

"""The text encoder against sentence-transformers, from the same files."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from cortigraph.graph.errors import InputError
from cortigraph.regions import builders
from cortigraph.regions.language import REGIONS, embed_text, tokenize
from cortigraph.regions.minilm import model_folder

TEXTS = ["a spoken digit", "", "Ünïcode — 数字 and emoji 🙂", "word " * 400, "x", "The enzyme\nbinds\tto the receptor."]


@pytest.fixture(scope="module")
def theirs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(model_folder()), device="cpu", local_files_only=True)
        return model.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)


def test_same_vectors_as_sentence_transformers(theirs):
    np.testing.assert_allclose(embed_text(TEXTS), theirs, atol=1e-5)


def test_region_gives_the_same_vectors(theirs):
    module = REGIONS[0].build(classes=3)
    outputs = module(torch.from_numpy(tokenize(TEXTS)))
    np.testing.assert_allclose(outputs["features"].detach().numpy(), theirs, atol=1e-5)
    assert outputs["logits"].shape == (len(TEXTS), 3)


def test_shapes_and_types():
    vectors = embed_text(TEXTS)
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embed_text([]).shape == (0, 384)
    assert tokenize([]).shape == (0, 2, 0)


def test_order_and_company_play_no_part():
    many = [f"{'very ' * (i % 7)}number {i}" for i in range(150)]
    together = embed_text(many)
    np.testing.assert_allclose(together[77], embed_text([many[77]])[0], atol=1e-5)
    np.testing.assert_allclose(together[::-1], embed_text(many[::-1]), atol=1e-5)


def test_frozen_but_for_the_head():
    module = builders.get("minilm").build(classes=3)
    assert {name for name, p in module.named_parameters() if p.requires_grad} == {"head.weight", "head.bias"}
    assert all(p.requires_grad for p in builders.get("minilm").build(trainable=True).parameters())


def test_two_builds_share_no_memory():
    first, second = (builders.get("minilm").build(trainable=True) for _ in range(2))
    with torch.no_grad():
        first.encoder.norm.weight.zero_()
    assert second.encoder.norm.weight.abs().sum() > 0


def test_too_long():
    with pytest.raises(InputError, match="up to 512 tokens"):
        builders.get("minilm").build()(torch.ones(1, 2, 513, dtype=torch.int64))


def test_neither_sentence_transformers_nor_the_network_is_needed():
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise OSError('no network')\n"
        "socket.socket.connect = refuse\n"
        "from cortigraph.regions.language import embed_text\n"
        "assert 'torch' not in sys.modules\n"
        "assert embed_text(['hello']).shape == (1, 384)\n"
        "assert not {'sentence_transformers', 'transformers'} & set(sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")

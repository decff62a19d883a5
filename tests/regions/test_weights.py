"""Weights: the same tensors give the same hash, damage is seen, writers do not disturb each other."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cortigraph.graph.errors import InputError, StoreError, UnknownKeyError
from cortigraph.regions.weights import WeightStore

STATES = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8).filter(
        lambda name: name != "__metadata__"
    ),
    st.tuples(st.lists(st.integers(0, 4), max_size=3), st.sampled_from([torch.float32, torch.int64, torch.bfloat16])),
    max_size=4,
)


@pytest.fixture
def store(tmp_path):
    return WeightStore(tmp_path / "weights")


@given(shapes=STATES, seed=st.integers(0, 9))
@settings(max_examples=50)
def test_same_tensors_same_hash(tmp_path_factory, shapes, seed):
    store = WeightStore(tmp_path_factory.mktemp("w"))
    generator = torch.Generator().manual_seed(seed)
    state = {name: torch.randint(0, 9, shape, generator=generator).to(dtype) for name, (shape, dtype) in shapes.items()}
    key = store.save(state)
    assert store.save(dict(reversed([(name, value.clone()) for name, value in state.items()]))) == key
    loaded = store.load(key)
    assert set(loaded) == set(state)
    assert all(loaded[name].equal(value) and loaded[name].dtype == value.dtype for name, value in state.items())


def test_layout_and_sharing_play_no_part(store):
    maps = torch.randn(2, 3, 4, 5)
    key = store.save({"a": maps, "b": maps})
    last = maps.contiguous(memory_format=torch.channels_last)
    assert store.save({"b": last, "a": last.requires_grad_()}) == key


def test_other_tensors_other_hash(store):
    keys = {
        store.save({"a": torch.zeros(2)}),
        store.save({"a": torch.ones(2)}),
        store.save({"b": torch.zeros(2)}),
        store.save({"a": torch.zeros(2, 1)}),
        store.save({"a": torch.zeros(2, dtype=torch.float64)}),
        store.save({}),
    }
    assert len(keys) == 6
    assert store.hashes() == sorted(keys)


def test_same_hash_in_another_process(store):
    code = (
        "import sys, torch; from pathlib import Path; from cortigraph.regions.weights import WeightStore;"
        "print(WeightStore(Path(sys.argv[1])).save({'a': torch.arange(6.).view(2, 3), 'b': torch.ones(1)}))"
    )
    told = subprocess.run([sys.executable, "-c", code, str(store.root)], capture_output=True, text=True, check=True)
    assert store.save({"b": torch.ones(1), "a": torch.arange(6.0).view(2, 3)}) == told.stdout.strip()


def test_missing(store):
    key = store.save({"a": torch.zeros(1)})
    with pytest.raises(UnknownKeyError, match="no weights 'sha256:"):
        store.load("sha256:" + "0" * 64)
    assert store.has(key)
    assert not store.has("sha256:" + "0" * 64)
    assert WeightStore(store.root / "nowhere").hashes() == []


@pytest.mark.parametrize(
    "key",
    ["", "abc", "sha256:", "sha256:../../etc/passwd", "sha256:" + "A" * 64, "md5:" + "a" * 64, "sha256:" + "a" * 65],
)
def test_malformed(store, key):
    for method in (store.load, store.path, store.has):
        with pytest.raises(InputError, match="expected a weights hash"):
            method(key)


def test_damage_is_seen_and_repaired(store):
    state = {"a": torch.arange(10)}
    key = store.save(state)
    content = bytearray(store.path(key).read_bytes())
    content[-1] ^= 1
    for damaged in (bytes(content), b"", bytes(content[:20])):
        store.path(key).write_bytes(damaged)
        with pytest.raises(StoreError, match="damaged"):
            store.load(key)
    store.save(state)
    assert store.load(key)["a"].equal(state["a"])


def test_concurrent_writers(store):
    state = {"a": torch.from_numpy(np.random.default_rng(0).random(100_000))}
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: store.save(state), range(32)))
    assert len(keys) == 1
    assert store.load(keys.pop())["a"].equal(state["a"])
    assert list(store.root.rglob("*.partial")) == []


def test_failed_write_leaves_nothing(store, monkeypatch):
    def full(_):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        store.save({"a": torch.zeros(1)})
    assert [file for file in store.root.rglob("*") if file.is_file()] == []
    assert store.hashes() == []

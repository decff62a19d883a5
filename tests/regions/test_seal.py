"""Sealed files: a byte that changed anywhere is told, in the file of a reasoner and in a checkpoint."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from cortigraph.graph.sums import DamagedError
from cortigraph.reasoning.reasoners.checkpoint import Checkpoint
from cortigraph.regions.weights import WeightStore, sealed, serialised, unsealed

STATE = {"b": torch.arange(12.0).reshape(3, 4), "a": torch.tensor([1, 2, 3])}
HEADER = {"cortigraph": '{"format": 1, "relations": ["treats", "näher"]}'}
CONTENT = sealed(STATE, HEADER)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_what_was_sealed_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    file.write_bytes(CONTENT)
    tensors, header = unsealed(file, HEADER, "mend it")
    assert header == HEADER
    assert all(tensors[name].equal(STATE[name]) for name in STATE)
    assert sealed(STATE, HEADER) == CONTENT
    with safe_open(file, "pt") as opened:  # a plain safetensors file for anybody else
        assert sorted(opened.keys()) == ["a", "b"]


@QUICK
@given(st.sets(st.integers(0, len(CONTENT) - 1), min_size=1, max_size=4), st.integers(1, 255))
def test_no_byte_can_change_unseen(tmp_path: Path, places: set[int], change: int) -> None:
    content = bytearray(CONTENT)
    for place in places:
        content[place] ^= change
    file = tmp_path / "a.safetensors"
    file.write_bytes(content)
    with pytest.raises((DamagedError, ValueError)):
        unsealed(file, HEADER, "mend it")


@QUICK
@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_a_damaged_checkpoint_is_none(tmp_path: Path, place: int, change: int) -> None:
    checkpoint = Checkpoint(tmp_path / "c.part", "this")
    checkpoint.save(STATE, {"step": 3})
    content = bytearray(checkpoint.path.read_bytes())
    content[place % len(content)] ^= change
    checkpoint.path.write_bytes(content)
    assert checkpoint.load() is None


def test_a_file_of_an_earlier_version_opens(tmp_path: Path) -> None:
    file = tmp_path / "old.safetensors"
    file.write_bytes(serialised(STATE, HEADER))
    assert unsealed(file, HEADER, "mend it")[1] == HEADER


def test_a_name_that_says_what_a_file_holds_is_believed(tmp_path: Path) -> None:
    old = serialised(STATE, HEADER)
    store = WeightStore(tmp_path)
    path = store.path(store.keep(old))
    changed = old.replace(b"treats", b"heals!")
    path.write_bytes(changed)
    got = hashlib.sha256(changed).hexdigest()
    with pytest.raises(DamagedError, match=f"expected sha256 {path.stem}, got {got}; mend it"):
        unsealed(path, HEADER, "mend it")

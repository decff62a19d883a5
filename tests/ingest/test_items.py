"""Data sets of a job: samples with labels, or MOTChallenge sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cortigraph.ingest.spec.items import DatasetItem
from cortigraph.train.data import DataSpec
from cortigraph.train.data.mot import MotSpec

IMAGE = {"image": {"modality": "image"}}


def test_an_item_gives_the_spec_of_its_kind() -> None:
    told = {"key": "m", "name": "M", "motchallenge": "mot", "split": {"test": ["MOT17-09"]}}
    sequences = DatasetItem.model_validate(told).spec()
    assert sequences == MotSpec.parse({"motchallenge": "mot", "split": {"test": ["MOT17-09"]}})
    samples = DatasetItem.model_validate({"key": "d", "folder": "digits", "inputs": IMAGE}).spec()
    assert samples == DataSpec.parse({"folder": "digits", "inputs": IMAGE})
    assert isinstance(samples, DataSpec)
    assert samples.folder == Path("digits")


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({}, "inputs: "),
        ({"folder": "d"}, "inputs: "),
        ({"folder": "d", "table": "t.csv", "inputs": IMAGE}, "give either table"),
        ({"motchallenge": "m", "folder": "d"}, "folder is not for motchallenge, which takes split alone"),
        ({"motchallenge": "m", "inputs": IMAGE}, "inputs is not for motchallenge"),
        ({"motchallenge": "m", "split": {"column": "c"}}, "divided by name"),
        ({"folder": "d", "inputs": {"A": {"modality": "image"}}}, "should match pattern"),
    ],
)
def test_an_item_that_is_neither_is_refused(told: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        DatasetItem.model_validate({"key": "k", **told})
    assert "validation error for DataSpec" not in str(caught.value)

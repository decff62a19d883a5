"""Data sets: described by a `DataSpec`, checked and decoded by `load`, used as a `Dataset`."""

from cortigraph.train.data.dataset import Dataset, decode_inputs
from cortigraph.train.data.load import load
from cortigraph.train.data.problems import DataError
from cortigraph.train.data.spec import DataSpec, InputSpec
from cortigraph.train.data.split_spec import SplitSpec

__all__ = ["DataError", "DataSpec", "Dataset", "InputSpec", "SplitSpec", "decode_inputs", "load"]

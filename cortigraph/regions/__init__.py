"""Functional areas and their regions: ports, declarations, builders, weights, and their place in the graph.

Only what needs no torch is imported here.
"""

from cortigraph.regions.builders import builder
from cortigraph.regions.ports import Axis, Port, check
from cortigraph.regions.region import Area, Region
from cortigraph.regions.weights import WeightStore

__all__ = ["Area", "Axis", "Port", "Region", "WeightStore", "builder", "check"]

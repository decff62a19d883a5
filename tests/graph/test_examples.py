"""The examples in this room's docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import cortigraph.graph

MODULES = [f"cortigraph.graph.{module.name}" for module in pkgutil.iter_modules(cortigraph.graph.__path__)]
COMMANDS = [f"cortigraph.cli.{name}" for name in ("cypher", "doctor")]


@pytest.mark.parametrize("name", MODULES + COMMANDS)
def test_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_all_names_what_is_there(name):
    module = importlib.import_module(name)
    assert [public for public in module.__all__ if not hasattr(module, public)] == []
    assert list(module.__all__) == sorted(set(module.__all__), key=module.__all__.index)

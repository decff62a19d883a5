"""Declarations, catalogue and weights are there at once: torch is imported when something is built."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

from cortigraph import regions

LIGHT = [
    "",
    ".ports",
    ".region",
    ".builders",
    ".weights",
    ".shapes",
    ".catalogue",
    ".vision",
    ".audio",
    ".fusion",
    ".language",
]


def test_declarations_import_no_torch():
    names = [f"cortigraph.regions{name}" for name in LIGHT]
    code = f"import importlib, sys; [importlib.import_module(n) for n in {names}]; assert 'torch' not in sys.modules"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert told.stderr == ""


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(regions.__path__)])
def test_all_names_what_is_there(name):
    module = importlib.import_module(f"cortigraph.regions.{name}")
    assert list(module.__all__) == sorted(module.__all__, key=lambda n: (not n.isupper(), n[0].islower(), n))
    assert all(hasattr(module, public) for public in module.__all__)

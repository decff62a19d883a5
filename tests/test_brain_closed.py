from __future__ import annotations

import inspect

import pytest

import cortigraph
from cortigraph.brain import Brain
from cortigraph.graph.errors import InputError

METHODS = [name for name in vars(Brain) if not name.startswith("_") and name not in ("open", "close")]
GIVEN = {"rank_regions": {"scene": "scene.yaml"}, "ingest": {"job": "standard"}}


@pytest.mark.parametrize("name", METHODS)
def test_a_closed_brain_says_so(name, store):
    brain = cortigraph.open(home=store.home.root)
    brain.close()
    with pytest.raises(InputError, match=r"was closed; open it again with cortigraph\.open"):
        _use(brain, name)


def _use(brain, name):
    found = getattr(brain, name)
    if callable(found):
        needed = [p.name for p in inspect.signature(found).parameters.values() if p.default is p.empty]
        found(**GIVEN.get(name, {each: "x" for each in needed if each not in ("wanted", "parameters")}))

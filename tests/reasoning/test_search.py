"""Strategies: the contract that each passes, and what each is for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cortigraph.graph.errors import UnknownKeyError
from cortigraph.reasoning.search import Search, names, strategy


class _Bits:
    """A space of 12 bits whose blueprints are their own decisions: the score is how many are set."""

    def sample(self, generator: np.random.Generator) -> dict[str, Any]:
        return {"bits": generator.integers(2, size=12).tolist()}

    def mutate(self, decisions: dict[str, Any], generator: np.random.Generator) -> dict[str, Any]:
        bits = list(decisions["bits"])
        bits[int(generator.integers(12))] ^= 1
        return {"bits": bits}

    def compose(self, decisions: dict[str, Any]) -> Any:
        class _Blueprint:
            def __init__(self) -> None:
                self.decisions = decisions

        return _Blueprint()


def _score(blueprint: Any) -> float:
    return float(sum(blueprint.decisions["bits"]))


def _go(search: Search, trials: int) -> list[dict[str, Any]]:
    asked = []
    for _ in range(trials):
        blueprint = search.ask()
        search.tell(blueprint, _score(blueprint))
        asked.append(dict(blueprint.decisions))
    return asked


def test_names_are_those_that_come_with_the_package() -> None:
    assert names() == ["evolution", "random"]
    with pytest.raises(UnknownKeyError, match="did you mean evolution"):
        strategy("evolutoin")


@pytest.mark.parametrize("name", names())
class TestContract:
    def test_a_seed_gives_the_same_search(self, name: str) -> None:
        runs = [_go(strategy(name)(_Bits(), 3), 20) for _ in range(2)]
        assert runs[0] == runs[1]
        assert runs[0] != _go(strategy(name)(_Bits(), 4), 20)

    def test_what_failed_is_not_asked_for_again(self, name: str) -> None:
        failed = strategy(name)(_Bits(), 3).decide()
        search = strategy(name)(_Bits(), 3, first=[failed])
        search.recall([], [], [("bits", failed["bits"])])
        assert search.decide() != failed

    def test_told_again_it_goes_on_where_it_was(self, name: str) -> None:
        whole = _go(strategy(name)(_Bits(), 5), 20)
        search = strategy(name)(_Bits(), 5)
        for decisions in whole[:11]:
            search.ask()
            search.tell(_Bits().compose(decisions), _score(_Bits().compose(decisions)))
        assert _go(search, 9) == whole[11:]

    def test_what_memory_suggests_comes_first(self, name: str) -> None:
        first = [{"bits": [1] * 12}, {"bits": [0] * 12}]
        assert _go(strategy(name)(_Bits(), 0, first), 4)[:2] == first

    def test_nothing_is_tried_twice_while_there_is_something_new(self, name: str) -> None:
        asked = [str(decisions) for decisions in _go(strategy(name)(_Bits(), 1), 60)]
        assert len(set(asked)) == len(asked)


def test_evolution_beats_random_at_equal_cost() -> None:
    best = {
        name: np.mean([max(sum(d["bits"]) for d in _go(strategy(name)(_Bits(), seed), 40)) for seed in range(20)])
        for name in names()
    }
    assert best["evolution"] > best["random"] + 0.3

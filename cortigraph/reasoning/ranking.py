"""Ranking regions for a scene: what memory says, and what the regions' features say of its samples if there is time."""

from __future__ import annotations

from collections.abc import Sequence

from cortigraph.graph.home import Home
from cortigraph.graph.store import Store
from cortigraph.reasoning.memory import recalled_weights, slots_of
from cortigraph.reasoning.pathway.compose import FUSION
from cortigraph.reasoning.pathway.scene import Scene
from cortigraph.reasoning.probing import probe
from cortigraph.reasoning.selector.advisor import Advice, Advisor
from cortigraph.reasoning.solving.problem import pose
from cortigraph.regions.weights import WeightStore

__all__ = ["rank_scene"]


def rank_scene(
    store: Store,
    home: Home,
    advisor: Advisor,
    scene: Scene,
    scenes: Sequence[str] | None = None,
    seconds: float = 0.0,
) -> dict[str, Advice]:
    """Which regions suit a scene; nothing is trained or written.

    Args:
        store: The store; only read.
        home: Where weights and decoded data lie.
        advisor: What is asked.
        scene: The scene.
        scenes: Only what was learned for these; all when left out.
        seconds: To spend on running the regions over a few training samples.

    Returns:
        Input name, or `fusion` → its regions, best first.

    Raises:
        InputError: Anything about the scene or its data is wrong; lists every problem.
    """
    problem = pose(store, scene, home.cache)
    slots, asked = slots_of(problem.space), problem.asked()
    told = advisor.for_slots(asked, slots, metric=scene.metric, scenes=scenes)
    if seconds <= 0:
        return told
    space = problem.space.grown_from(recalled_weights(store, problem.space, asked.place, scenes))
    order = {slot: [one.key for one in advice.regions] for slot, advice in told.items() if slot != FUSION}
    proxies = probe(problem, space, WeightStore(home.weights), seconds, order)
    return advisor.for_slots(problem.asked(proxies), slots, metric=scene.metric, scenes=scenes)

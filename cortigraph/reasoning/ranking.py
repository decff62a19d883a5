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
from cortigraph.reasoning.solving.identity import check_identity
from cortigraph.reasoning.solving.problem import pose
from cortigraph.reasoning.solving.survey import survey
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
        Input name, or `fusion` → its regions, best first; what can't serve there is left out, with the reason.

    Raises:
        InputError: Anything about the scene or its data is wrong, or its key is another's; lists every problem.
    """
    posed = pose(store, scene, home.cache)
    check_identity(store, posed)
    problem = survey(posed, WeightStore(home.weights))
    slots, asked = slots_of(problem.space), problem.asked()
    told = advisor.for_slots(asked, slots, metric=scene.metric, scenes=scenes, left_out=problem.left_out)
    if seconds <= 0:
        return told
    space = problem.space.grown_from(recalled_weights(store, problem.space, asked.place, scenes))
    order = {slot: [one.key for one in advice.regions] for slot, advice in told.items() if slot != FUSION}
    proxies, failed = probe(problem, space, WeightStore(home.weights), seconds, order)
    left_out = {slot: {**problem.left_out.get(slot, {}), **failed.get(slot, {})} for slot in slots}
    kept = {slot: [key for key in keys if key not in left_out[slot]] for slot, keys in slots.items()}
    asked = problem.asked(proxies)
    return advisor.for_slots(asked, kept, metric=scene.metric, scenes=scenes, left_out=left_out)

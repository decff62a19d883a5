"""Pictures: a pathway as a diagram, a search as a curve, a ranking, an answer with its paths; PNG or SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cortigraph.reasoning.asking.answers import Path as Carried
from cortigraph.reasoning.picture_file import picture_file
from cortigraph.reasoning.selector.advisor import Advice
from cortigraph.reasoning.solving.solution import Solution
from cortigraph.regions.blueprint import Blueprint

__all__ = ["draw_paths", "draw_pathway", "draw_ranking", "draw_search"]

_INK, _PALE, _ACCENT = "#22303c", "#e8eef3", "#d1495b"
_COLOURS = {"image": "#dbe9d8", "audio": "#fbe3c8", "text": "#d9e2f3", "any": "#eadcf0"}


def draw_pathway(blueprint: Blueprint, path: Path, title: str = "") -> Path:
    """Draws inputs, regions and what joins them, left to right.

    Args:
        blueprint: The pathway.
        path: Where to; the ending decides the format.
        title: Above the picture.

    Returns:
        The path.
    """
    depth: dict[str, int] = {port.name: 0 for port in blueprint.inputs}
    for node in blueprint.nodes:
        depth[f"{node.name}."] = 1 + max(depth[_owner(ref)] for ref in node.inputs)
    width, height = 1 + max(depth.values()), max(_count(depth).values())
    figure, axes = _canvas(3.4 * (width + 1), 1.7 * height + 1.0, title)
    places, boxes = _places(depth, height), {}
    for port in blueprint.inputs:
        sizes = " × ".join(str(size) for size in port.sizes)
        boxes[port.name] = _box(axes, places[port.name], f"{port.name}\n{sizes}", _COLOURS[port.modality])
    for node in blueprint.nodes:
        modality = node.region.accepts[0].modality
        told = "\n".join([node.region.name, node.region.key, _arguments(node.region.arguments)]).strip()
        boxes[f"{node.name}."] = _box(axes, places[f"{node.name}."], told, _COLOURS[modality])
        for owner in dict.fromkeys(_owner(ref) for ref in node.inputs):
            ports = ", ".join(ref.split(".")[1] for ref in node.inputs if _owner(ref) == owner and "." in ref)
            _arrow(axes, boxes[owner], boxes[f"{node.name}."], ports)
    end = (float(width), (height - 1) / 2)
    answer = _box(axes, end, f"{len(blueprint.classes)} classes", _PALE)
    _arrow(axes, boxes[_owner(blueprint.output)], answer, "")
    axes.set_xlim(-0.6, width + 0.6)
    axes.set_ylim(-0.7, height - 0.3)
    return _save(figure, path)


def draw_search(
    solutions: Sequence[tuple[str, Solution]], path: Path, title: str = "", level: float | None = None
) -> Path:
    """Draws how searches went: each candidate as a dot, the best so far as a line.

    Args:
        solutions: Name → solution, in one picture.
        path: Where to.
        title: Above the picture.
        level: An accuracy to mark.

    Returns:
        The path.
    """
    figure, axes = _canvas(8, 4.5, title, frame=True)
    for number, (name, solution) in enumerate(solutions):
        steps = [step for step in solution.steps if step.index >= 0 and not step.reason]
        trials, best = [step.index + 1 for step in steps], 0.0
        line = [best := max(best, step.accuracy) for step in steps]
        colour = (_ACCENT, "#00798c", "#edae49", _INK)[number % 4]
        axes.plot(trials, [step.accuracy for step in steps], "o", color=colour, alpha=0.45, markersize=5)
        axes.step(trials, line, where="post", color=colour, label=name, linewidth=2)
    if level is not None:
        axes.axhline(level, color=_INK, linestyle=":", linewidth=1, label=f"level {level:.3f}")
    axes.set_xlabel("trials")
    axes.set_ylabel("accuracy on validation data")
    axes.legend(frameon=False, loc="lower right")
    return _save(figure, path)


def draw_paths(paths: Sequence[Carried], path: Path, title: str = "") -> Path:
    """Draws the paths that carried an answer: each in a row of its own, from what was asked about to the answer.

    Args:
        paths: At least one; all from one node to another one.
        path: Where to.
        title: Above the picture.

    Returns:
        The path.
    """
    longest = max(len(each.hops) for each in paths)
    figure, axes = _canvas(2.9 * (longest + 1), 1.3 * len(paths) + 1.2, title)
    middle = (len(paths) - 1) / 2
    first = _box(axes, (0.0, middle), _short(paths[0].nodes[0]), _COLOURS["image"])
    last = _box(axes, (float(longest), middle), _short(paths[0].nodes[-1]), _COLOURS["audio"])
    heaviest = max((abs(each.weight or 0.0) for each in paths), default=0.0)
    for row, each in enumerate(paths):
        step, height = longest / len(each.hops), len(paths) - 1.0 - row
        inner = [
            _box(axes, (step * (place + 1), height), _short(node), _PALE) for place, node in enumerate(each.nodes[1:-1])
        ]
        boxes = [first, *inner, last]
        width = 1 + 2 * abs(each.weight or 0.0) / heaviest if heaviest else 1.0
        for hop, start, end in zip(each.hops, boxes, boxes[1:], strict=False):
            told = _short(hop.relation) if hop.weight is None else f"{_short(hop.relation)}\n{hop.weight:+.2f}"
            _arrow(axes, *((start, end) if hop.forwards else (end, start)), told, width)
    axes.set_xlim(-0.6, longest + 0.6)
    axes.set_ylim(-0.7, len(paths) - 0.3)
    return _save(figure, path)


def _short(text: str, most: int = 28) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def draw_ranking(ranked: Mapping[str, Advice], path: Path, title: str = "", most: int = 20) -> Path:
    """Draws what is expected of regions as dots, with the intervals in which four runs in five should lie.

    Args:
        ranked: Slot, or functional area → its regions.
        path: Where to.
        title: Above the picture.
        most: Regions of each slot that are shown.

    Returns:
        The path.
    """
    rows = [
        (f"{one.key}  [{slot}]", one, one.key == advice.choice)
        for slot, advice in ranked.items()
        for one in advice.regions[:most]
    ]
    figure, axes = _canvas(9, 1.2 + 0.28 * max(len(rows), 1), title, frame=True)
    for place, (_, one, first) in enumerate(rows):
        colour = _ACCENT if first else _INK
        axes.plot([one.low, one.high], [-place, -place], color=colour, linewidth=2, alpha=0.5)
        axes.plot([one.expected], [-place], "o", color=colour, markersize=5)
    axes.set_yticks([-place for place in range(len(rows))], [name for name, *_ in rows], fontsize=8)
    axes.set_xlabel("expected score")
    return _save(figure, path)


def _canvas(width: float, height: float, title: str, *, frame: bool = False) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # without pyplot: no display, no global state

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, color=_INK, fontsize=11)
    if frame:
        axes.spines[["top", "right"]].set_visible(False)
    else:
        axes.axis("off")
    return figure, axes


def _save(figure: Any, path: Path) -> Path:
    picture_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    return path


def _owner(ref: str) -> str:
    """What a reference belongs to: an input, or a node (with a dot, so that the two never mix)."""
    return f"{ref.split('.')[0]}." if "." in ref else ref


def _count(depth: dict[str, int]) -> dict[int, int]:
    return {level: list(depth.values()).count(level) for level in set(depth.values())}


def _places(depth: dict[str, int], height: int) -> dict[str, tuple[float, float]]:
    places, used = {}, dict.fromkeys(depth.values(), 0)
    for name, level in depth.items():
        total = _count(depth)[level]
        row = (height - total) / 2 + (total - 1 - used[level])
        places[name] = (float(level), row)
        used[level] += 1
    return places


def _box(axes: Any, place: tuple[float, float], text: str, colour: str) -> Any:
    box = {"boxstyle": "round,pad=0.55", "facecolor": colour, "edgecolor": _INK, "linewidth": 0.8}
    return axes.text(*place, text, ha="center", va="center", fontsize=8.5, color=_INK, bbox=box, zorder=3)


def _arrow(axes: Any, source: Any, target: Any, text: str, width: float = 1.0) -> None:
    start, end = source.get_position(), target.get_position()
    style = {"arrowstyle": "-|>", "color": _INK, "linewidth": width, "shrinkA": 2, "shrinkB": 2}
    style |= {"patchA": source.get_bbox_patch(), "patchB": target.get_bbox_patch()}
    axes.annotate("", xy=end, xytext=start, arrowprops=style, zorder=4)
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.1)
    axes.text(*middle, text, ha="center", va="bottom", fontsize=7, color=_INK)


def _arguments(arguments: dict[str, Any]) -> str:
    told = [f"{name}={value}" for name, value in arguments.items() if name not in ("classes", "sizes", "channels")]
    return ", ".join(told)

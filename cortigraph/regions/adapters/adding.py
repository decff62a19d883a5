"""Adding: a module becomes a region, with its weights in the store and its declaration in the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from pydantic import JsonValue

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.regions import builders, catalogue
from cortigraph.regions.adapters import checks, plain, timm_models, transformers_models
from cortigraph.regions.adapters.base import Recipe
from cortigraph.regions.adapters.freedom import settled
from cortigraph.regions.adapters.inputs import Given, as_example, as_ports, drawn
from cortigraph.regions.adapters.received import received
from cortigraph.regions.ports import Axis, Port
from cortigraph.regions.region import Area, Region
from cortigraph.regions.weights import WeightStore

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store

__all__ = ["add"]

# SPDX's word for a licence that nobody has told.
_NO_LICENCE = "NOASSERTION"


def add(
    store: Store,
    home: Home,
    module: object,
    *,
    area: str,
    id: str,
    name: str | None = None,
    description: str = "",
    licence: str | None = None,
    example: Tensor | Sequence[Tensor] | None = None,
    accepts: Given = None,
    emits: Given = None,
    trainable: bool = True,
    overwrite: bool = False,
    derived_from: str | None = None,
    builder: str | None = None,
    arguments: Mapping[str, JsonValue] | None = None,
) -> Region:
    """Adds a module as a region; adding the same again changes nothing.

    Args:
        store: The graph.
        home: Where the weights are kept.
        module: Any module, a model of timm or of transformers, or `timm:NAME` or `transformers:FOLDER`; anything else
            is refused with what to give in its place.
        area: The area's key; an area that is not there is made of what the region takes and gives.
        id: Of the region, unique in its area.
        name: For people; that of the model, else of the class, when left out.
        description: What it is and what it was trained on; part of its embedding.
        licence: An SPDX name; the model's own when left out, where it says one.
        example: The tensors that `forward` takes, batch axis first.
        accepts: The input ports, or name → one-line form; an axis of size `*` is then left free.
        emits: The output ports likewise, by the module's own names or in its order.
        trainable: Whether training may change it.
        overwrite: Whether another region of that key may be replaced.
        derived_from: The key of the region that it was made from.
        builder: A registered builder that makes this module, for one that can't be taken as it is.
        arguments: Of that builder.

    Returns:
        The region; `region.build(weights)` gives the module again, in any process.

    Raises:
        InputError: Anything about the module or its place is wrong; lists every problem, and nothing was written.
        SetupError: It is named by a library that is not installed.
        UnknownKeyError: There is no such builder, or no such model.

    Example:
        >>> add(store, home, nn.Linear(4, 3), area="demo", id="line", example=torch.zeros(2, 4))  # doctest: +SKIP
        Region(area='demo', id='line', name='Linear', builder='graph', …)
    """
    texts = {"name": name, "description": description, "licence": licence, "derived_from": derived_from}
    problems = checks.text_problems(area=area, id=id, **texts, builder=builder)
    if problems:
        raise InputError(problems)
    problems = checks.place_problems(store, area, id, derived_from)
    given = received(module)
    place = _area(store, area) if not problems else None
    problems += checks.state_problems(given)
    wanted = _wanted(given, example, as_ports(accepts), as_ports(emits), place)
    found: Recipe | None = None
    if not problems:
        try:
            found = _recipe(checks.alone(given), builder, dict(arguments or {}), wanted)
        except InputError as error:
            if isinstance(error, UnknownKeyError):
                raise
            problems += error.problems
    known = _known(store, f"{area}/{id}")
    if problems or found is None:
        raise InputError(problems + _taken(known, overwrite, ["whatever this one is"] if problems else []))
    told = {"name": name or _title(given, found), "description": description or found.told}
    told |= {"licence": licence or found.licence or _NO_LICENCE}
    region = _declared(found, area=area, id=id, trainable=trainable, derived_from=derived_from, **told)
    problems = checks.area_problems(place, region.emits) if place else []
    weights = WeightStore(home.weights)
    changed = _changes(known, region, found, weights) if known else []
    if known and not changed and not problems:
        return known
    problems += _taken(known, overwrite, changed) + _port_problems(region)
    if problems:
        raise InputError(problems)
    if found.state:
        region = region.model_copy(update={"weights": weights.save(found.state)})
    catalogue.declare(store, [] if _there(store, area) else [place or _made(region)], [region], weights=weights)
    return region


def _wanted(
    module: nn.Module,
    example: Tensor | Sequence[Tensor] | None,
    accepts: tuple[Port, ...] | None,
    emits: tuple[Port, ...] | None,
    place: Area | None,
) -> plain.Wanted:
    frozen = [key for key, value in module.named_parameters(remove_duplicate=False) if not value.requires_grad]
    return plain.Wanted(
        example=as_example(example),
        accepts=accepts,
        emits=emits,
        area=place.accepts if place else (),
        frozen=tuple(sorted(frozen)),
    )


def _recipe(module: nn.Module, builder: str | None, arguments: dict[str, Any], wanted: plain.Wanted) -> Recipe:
    """By the first way that makes the module again: a builder, its library, or as a program."""
    if builder is not None:
        return plain.built_recipe(module, builder, arguments, wanted)
    library = _library(module)
    if library is None:
        return plain.recipe(module, wanted)
    example = wanted.example
    if example is None and wanted.accepts is not None:
        example = tuple(drawn(port, number) for number, port in enumerate(wanted.accepts))
    try:
        return _ported(library(module, example, wanted.frozen), wanted)
    except InputError as error:
        # What was changed by hand, its library does not make again; as a program it may well be.
        if wanted.example is None:
            raise
        try:
            return plain.recipe(module, wanted)
        except InputError as also:
            raise InputError([*error.problems, *also.problems]) from also


def _library(module: nn.Module) -> Callable[..., Recipe] | None:
    if timm_models.is_timm(module):
        return timm_models.recipe
    return transformers_models.recipe if transformers_models.is_transformers(module) else None


def _ported(found: Recipe, wanted: plain.Wanted) -> Recipe:
    """With the user's ports in the place of the library's; outputs by their names."""
    from dataclasses import replace

    emits = {port.name: port for port in wanted.emits or ()}
    unknown = sorted(set(emits) - {port.name for port in found.emits})
    if unknown:
        names = ", ".join(port.name for port in found.emits)
        raise InputError(f"emits names {', '.join(unknown)}, which the model does not give; it gives {names}")
    ports = tuple(emits.get(port.name, port) for port in found.emits)
    module = builders.get(found.builder).build(**found.arguments).eval()
    accepts = settled(module, wanted.accepts or found.accepts, found.example)
    return replace(found, accepts=accepts, emits=ports)


def _declared(found: Recipe, **told: Any) -> Region:
    ports = {"accepts": found.accepts, "emits": found.emits, "shapes": found.shapes}
    return Region(builder=found.builder, arguments=found.arguments, **ports, **told)  # type: ignore[arg-type]


def _title(module: nn.Module, found: Recipe) -> str:
    return str(found.arguments["model"]) if found.builder == "timm" else type(module).__name__


def _port_problems(region: Region) -> list[str]:
    """Whether a dry run gives what is declared, with a head and without."""
    options = [{}, {"classes": 2}] if region.builder in ("graph", "timm", "transformers") else [{}]
    problems: list[str] = []
    for option in options:
        try:
            region.emits_for(*region.shapes, **option)
        except InputError as error:
            problems += error.problems
    return problems


def _known(store: Store, key: str) -> Region | None:
    try:
        return catalogue.region(store, key)
    except UnknownKeyError:
        return None


def _changes(known: Region, region: Region, found: Recipe, weights: WeightStore) -> list[str]:
    """In what the region that is there differs from the new one."""
    fields = [key for key in Region.model_fields if key != "weights"]
    changed = [key for key in fields if getattr(known, key) != getattr(region, key)]
    return changed if _equal(known, found, weights) else [*changed, "weights"]


def _equal(known: Region, found: Recipe, weights: WeightStore) -> bool:
    if known.weights is None:
        return not found.state
    if not weights.has(known.weights):
        return False
    kept = weights.load(known.weights)
    return kept.keys() == found.state.keys() and all(torch.equal(kept[key], found.state[key]) for key in kept)


def _taken(known: Region | None, overwrite: bool, changed: Sequence[str]) -> list[str]:
    if known is None or overwrite or not changed:
        return []
    return [
        f"id {known.id!r} is taken: {known.key} is there ({known.name}) and differs in {', '.join(changed)}; "
        "choose another id, or say overwrite=True"
    ]


def _area(store: Store, key: str) -> Area | None:
    """The area as the graph has it, else as the package does."""
    known = {area.key: area for area in (*catalogue.built_in()[0], *catalogue.areas(store))}
    return known.get(key)


def _there(store: Store, key: str) -> bool:
    return any(area.key == key for area in catalogue.areas(store))


def _made(region: Region) -> Area:
    """An area around its first region: of any sizes, and without its taps, which are its own affair."""
    emits = [port for port in region.emits if port.name in ("features", "logits")]
    return Area(
        key=region.area,
        name=region.area.replace(".", " ").replace("_", " ").capitalize(),
        description=f"What {region.name} does.",
        accepts=tuple(_any_size(port) for port in region.accepts),
        emits=tuple(_any_size(port) for port in emits),
    )


def _any_size(port: Port) -> Port:
    return port.model_copy(update={"axes": tuple(Axis(name=axis.name) for axis in port.axes)})

"""The registry of builders."""

from importlib import metadata

import pytest
from torch import nn

from cortigraph.graph.errors import InputError, SetupError, UnknownKeyError
from cortigraph.regions import builders


@pytest.fixture
def registry(monkeypatch):
    """The registry as it is; what a test registers is forgotten afterwards."""
    builders.names()
    monkeypatch.setattr(builders, "_registered", dict(builders._registered))
    return builders


@pytest.fixture
def offering(registry, monkeypatch):
    """Lets installed packages offer builders: name → module:function, or two of them."""

    def offer(**values):
        points = {
            name: [
                metadata.EntryPoint(name, value, builders.GROUP)
                for value in ([told] if isinstance(told, str) else told)
            ]
            for name, told in values.items()
        }
        monkeypatch.setattr(builders, "_offered", lambda: points)
        builders._load_offered.cache_clear()

    yield offer
    builders._load_offered.cache_clear()


def plain(width: int = 3) -> nn.Module:
    return nn.Linear(width, width)


def test_names_are_sorted_and_complete():
    names = builders.names()
    assert names == sorted(names)
    assert {"lenet3", "lenet5", "mediumnet", "sparsenet", "minilm"} <= set(names)
    assert {"average", "product", "select", "concat", "gated", "mfas"} <= set(names)


def test_unknown_name_has_a_hint():
    with pytest.raises(UnknownKeyError, match="did you mean lenet"):
        builders.get("lenet4")


def test_duplicate_is_refused(registry):
    with pytest.raises(InputError, match="'lenet3' is registered twice"):
        registry.builder("lenet3")(plain)


def test_registering_again_is_no_duplicate(registry):
    registry.builder("again")(plain)
    registry.builder("again")(plain)
    assert registry.get("again").build(width=2).in_features == 2


def test_all_argument_problems_at_once():
    with pytest.raises(InputError) as caught:
        builders.get("mfas").build(sizes=[8, 8], modalities="2", activations=["tanh"], classes=10, hiden=3)
    problems = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    assert "needs the argument 'layers'" in problems
    assert "no argument 'hiden'; did you mean hidden?" in problems
    assert "'modalities': got '2'" in problems
    assert "'activations'" in problems


@pytest.mark.parametrize("wrong", [True, 1.5, "8", [8], None])
def test_types_are_strict(wrong):
    with pytest.raises(InputError, match="argument 'width'"):
        builders.get("lenet3").build(width=wrong)


@pytest.mark.parametrize("wrong", [{"width": 0}, {"grid": 0}, {"channels": -1}, {"classes": 0}])
def test_sizes_are_positive(wrong):
    with pytest.raises(InputError, match="greater than or equal to 1"):
        builders.get("lenet3").build(**wrong)


@pytest.mark.parametrize("name", builders.names())
def test_space_names_arguments(name):
    builder = builders.get(name)
    wrong = [problem for problem in builder.problems(dict.fromkeys(builder.space)) if "no argument" in problem]
    assert wrong == []


def test_entry_point_is_loaded_when_looked_up(offering):
    offering(theirs=f"{__name__}:plain", broken="no_such_package:make")
    assert {"theirs", "broken"} <= set(builders.names())
    assert isinstance(builders.get("theirs").build(), nn.Linear)
    with pytest.raises(SetupError, match="no_such_package"):
        builders.get("broken")


def test_entry_point_against_built_in(offering):
    offering(lenet3=f"{__name__}:plain")
    with pytest.raises(InputError, match="registered twice"):
        builders.get("lenet3")


def test_entry_point_offered_twice(offering):
    offering(theirs=[f"{__name__}:plain", "other:make"])
    with pytest.raises(InputError, match="offered twice"):
        builders.get("theirs")

"""Plain modules as programs: without a store."""

import copy
import json

import pytest
import torch
from torch import nn

from cortigraph.graph.errors import InputError
from cortigraph.regions import builders
from cortigraph.regions.adapters import checks, plain
from cortigraph.regions.adapters.export import named_outputs
from cortigraph.regions.adapters.operations import ATEN, operation
from cortigraph.regions.adapters.program import Program
from tests.regions.modules import Attentive, Both, Mlp, Moody, Recurrent, Residual, example

MODULES = [Mlp, Residual, Recurrent, Attentive, Both]


@pytest.fixture(scope="module", params=MODULES, ids=lambda kind: kind.__name__)
def pair(request):
    """A module, its example, and what is made of its recipe once that has been text."""
    torch.manual_seed(0)
    module = request.param()
    inputs = example(module)
    frozen = tuple(name for name, value in module.named_parameters() if not value.requires_grad)
    found = plain.recipe(checks.alone(module), plain.Wanted(example=inputs, frozen=frozen))
    arguments = json.loads(json.dumps(found.arguments, allow_nan=False))
    return module, inputs, found, arguments


@pytest.fixture(scope="module")
def mlp():
    """A program that is in order."""
    return plain.recipe(checks.alone(Mlp()), plain.Wanted(example=example(Mlp()))).arguments["program"]


def again(pair, **overrides):
    _, _, found, arguments = pair
    module = builders.get("graph").build(**arguments, **overrides)
    module.load_state_dict(found.state)
    return module


def told(module, inputs, seed=3):
    torch.manual_seed(seed)
    return list(named_outputs(module(*inputs)).values())


def test_it_computes_the_same_to_the_last_bit(pair):
    module, inputs = copy.deepcopy(pair[0]).eval(), pair[1]
    made = again(pair).eval()
    for rows in (slice(None), slice(0, 1), [0, 1, 2, 3, 2, 1, 0]):
        some = [value[rows] for value in inputs]
        for wanted, got in zip(told(module, some), made.network(*some), strict=True):
            assert torch.equal(wanted, got)


def test_it_trains_as_the_module_does(pair):
    module, made = copy.deepcopy(pair[0]).train(), again(pair).train()
    for wanted, got in zip(told(module, pair[1]), told(made.network, pair[1]), strict=True):
        assert torch.equal(wanted, got), "dropout draws the same for the same seed"
    told(module, pair[1])[0].square().sum().backward()
    told(made.network, pair[1])[0].square().sum().backward()
    grads = {name: value.grad for name, value in made.network.named_parameters()}
    for name, value in module.named_parameters():
        assert value.requires_grad == (made.network.get_parameter(name).requires_grad)
        if value.grad is not None:
            torch.testing.assert_close(grads[name], value.grad)
    for name, value in module.state_dict().items():  # the running statistics too
        assert torch.equal(made.state_dict()[f"network.{name}"], value)


def test_a_head_comes_with_classes(pair):
    made = again(pair, classes=5)
    outputs = made(*pair[1])
    assert outputs["logits"].shape == (4, 5)
    assert outputs["features"].dim() == 2
    outputs["logits"].sum().backward()
    assert made.head.weight.grad is not None
    trained = builders.get("graph").build(**pair[3], classes=5)
    trained.load_state_dict(made.state_dict())
    assert torch.equal(trained.head.weight, made.head.weight)


def test_the_names_of_the_state_are_kept(pair):
    names = {f"network.{name}" for name in pair[0].state_dict()}
    assert names <= set(pair[2].state)


def test_tied_weights_stay_tied():
    found = plain.recipe(checks.alone(Attentive()), plain.Wanted(example=example(Attentive())))
    made = builders.get("graph").build(**found.arguments)
    assert made.network.answer.weight is made.network.words.weight


def test_ports_are_told_by_shapes():
    found = plain.recipe(checks.alone(Residual()), plain.Wanted(example=example(Residual())))
    assert [f"{p.name}: {p}" for p in (*found.accepts, *found.emits)] == [
        "image: image[channel=3,height=12,width=12] float32 raw",
        "map: image[channel=8,height=*,width=*] float32 map",
        "features: image[feature=8] float32 features",
        "logits: image[class=*] float32 logits",
    ]


def test_an_axis_is_free_where_a_port_says_so():
    from cortigraph.regions.ports import Port

    port = Port.parse("picture", "image[channel=3,height=*,width=*] float32 raw")
    found = plain.recipe(checks.alone(Residual()), plain.Wanted(accepts=(port,)))
    made = builders.get("graph").build(**found.arguments)
    assert made(torch.zeros(2, 3, 9, 21))["map"].shape == (2, 8, 9, 21)


def test_what_no_graph_can_tell_is_refused_with_the_remedy():
    with pytest.raises(InputError, match=r"graph of operations.*builder=\"mine\".*@cortigraph\.regions\.builder"):
        plain.recipe(checks.alone(Moody()), plain.Wanted(example=example(Moody())))


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda line, x: torch.complex(line(x), line(x)), "complex64; convert"),
        (lambda line, x: line(x).double(), "float64; convert"),
        (lambda line, x: line(x).sum(), "batch axis first"),
        (lambda line, x: line(x).log() * torch.nan, "not finite"),
        (lambda line, x: [[line(x)]], "tuple of tensors"),
        (lambda line, x: x.argmax(dim=1), "no float32 tensor"),
        (lambda line, x: line(x[:, :2]), "can't take inputs of the shapes"),
    ],
)
def test_outputs_that_no_port_carries(forward, message):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = nn.Linear(4, 3)

        def forward(self, x):
            return forward(self.line, x)

    with pytest.raises(InputError, match=message):
        plain.recipe(checks.alone(Odd()), plain.Wanted(example=(torch.randn(3, 4),)))


def test_no_operation_outside_of_the_list():
    for name in ("aten.from_file.default", "aten.set_.source_Storage", "aten.add.out", "prims.add.default",
                 "os.system", "size.__import__", "aten.linear.nothing", ""):  # fmt: skip
        with pytest.raises(InputError, match="may not be used"):
            operation(name)
    assert not {"from_file", "set_", "as_strided", "resize_", "save", "item", "_local_scalar_dense"} & ATEN
    assert [name for name in ATEN if not hasattr(torch.ops.aten, name)] == []


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p["eval"]["steps"].append(["aten.from_file.default", ["/etc/passwd"], {}]),
        lambda p: p["eval"]["steps"].append(["aten.relu.default", [{"%": 99}], {}]),
        lambda p: p["eval"]["steps"].append(["aten.relu.default", [{"%": -1}], {}]),
        lambda p: p["eval"]["steps"].append(["aten.relu.default", [{"code": "x"}], {}]),
        lambda p: p["eval"].update(outputs=[{"%": 99}]),
        lambda p: p["state"][0].update(dtype="object"),
        lambda p: p["state"][0].update(name="forward.weight"),
        lambda p: p.update(tied={"a.b": "c.d"}),
        lambda p: p.pop("eval"),
    ],
)
def test_a_damaged_program_is_refused(change, mlp):
    program = copy.deepcopy(mlp)
    Program(program)
    change(program)
    with pytest.raises(InputError):
        Program(program)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Linear(2, 2).half(), "like it) is float16"),
        (nn.Linear(2, 2).double(), "like it) is float64"),
        (nn.Linear(2, 2, device="meta"), "meta device"),
        (nn.LazyLinear(2), "no size yet"),
        (nn.ParameterList([torch.zeros(2, dtype=torch.complex64)]), "complex64"),
    ],
)
def test_states_that_are_not_kept(module, message):
    assert message in " ".join(checks.state_problems(module))


def test_every_problem_of_a_state_is_told():
    module = nn.Linear(2, 2)
    module.register_buffer("coarse", torch.zeros(1, dtype=torch.float16))
    nn.init.constant_(module.bias, torch.nan)
    assert len(checks.state_problems(module)) == 2

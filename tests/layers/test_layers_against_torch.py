"""Every layer class against PyTorch: shapes, weights, buffers, multiply-adds, fields, refusals.

The module that `Layer.build` makes is run on the CPU, where PyTorch applies all of its checks
(the meta device skips some), on two samples, in evaluation.
"""

from __future__ import annotations

import inspect
import re
import warnings
from math import prod
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from support import examples, network
from support.formulas import evaluate
from support.one_of_each import FIELDS
from support.strategies import STRATEGIES, Case

import cnncalc
from cnncalc.errors import FieldError, ShapeError, SpecError
from cnncalc.layers import registry
from cnncalc.layers.recorder import record

torch = pytest.importorskip("torch", reason="the layers are compared with PyTorch's modules")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from cnncalc.pytorch.modules import namespace  # noqa: E402

if TYPE_CHECKING:
    from cnncalc import LayerSummary
    from cnncalc.layers.base import Layer


KINDS = sorted(registry().keys() - {"unknown"})
"""All but what has no layer, and builds nothing."""
BATCH = 2
EXAMPLES = {"conv": 150, "conv_transpose": 150, "max_pool": 120, "avg_pool": 150, "upsample": 150}
EXAMPLES |= dict.fromkeys(("depthwise_conv", "pad", "unflatten", "instance_norm", "slice"), 60)

STRICTER = {
    r"values? for \d spatial ax": "a list of one value for several axes is rather a mistake",
    r"must be an? (integer|list)": "PyTorch lets sizes and dilations of 0 through",
    r"must be a number|must be 1": "probabilities, slopes and scales of no meaning",
    r"would be empty|would be left|no channels|leaves nothing of": "an empty output is a mistake",
    r"same leaves nothing for ceil_mode": "PyTorch has no pool with `same` padding",
    r"is no axis of|must order the axes|comes after": "axis 0 is the batch, which stays",
    r"needs an input of|needs channels and": "images have one to three axes besides channels",
    r"needs a vector": "the codes of an rbf are vectors",
    r"its inputs must|axes of its inputs": "add and concat never broadcast; multiply, axes of 1",
    r"would have \d axes": "a tensor has at most 6 axes",
    r"is no shape|do not fit": "a length of 0 is a mistake",
    r"value is for mode constant": "the value would be ignored",
}
"""What cnncalc refuses though the built module runs: its message, and why."""

TORCH_ONLY = {
    "inplace": "changes no number",
    "return_indices": "a second output",
    "in_channels": "known from the input",
    "in_features": "known from the input",
    "num_features": "known from the input",
    "num_channels": "known from the input",
    "normalized_shape": "known from the input and `over`",
    "out_channels": "depthwise_conv states a multiple",
    "groups": "depthwise_conv has as many as channels",
    "recompute_scale_factor": "changes only rounding, and is seldom used",
    "device": "of the whole module",
    "dtype": "of the whole module",
    "conv_transpose.padding_mode": "PyTorch itself allows zeros only",
    "global_avg_pool.output_size": "always 1",
    "global_max_pool.output_size": "always 1",
    "reshape.dim": "of the Unflatten that a vector's reshape is built as",
    "reshape.unflattened_size": "of the Unflatten that a vector's reshape is built as",
    "batch_norm.bias": "newer than the oldest PyTorch that can build our modules",
    "instance_norm.bias": "newer than the oldest PyTorch that can build our modules",
    "group_norm.bias": "newer than the oldest PyTorch that can build our modules",
    "args": "nn.Module's own",
    "kwargs": "nn.Module's own",
}
"""What PyTorch's constructors take and our layers do not, and why."""


def plain(value: Any) -> Any:
    return tuple(map(plain, value)) if isinstance(value, list) else value


def spec_of(case: Case) -> dict[str, Any]:
    """A network whose last layer is the case's, fed with its shapes."""
    if len(case.shapes) > 1:
        branches = [
            [{"linear": prod(shape)}, {"reshape": {"shape": [*shape]}}] for shape in case.shapes
        ]
        return network([1], {case.kind: branches})
    (shape,) = case.shapes
    if len(shape) > 4:  # more axes than an input may have
        reshape = {"reshape": {"shape": [*shape]}}
        return network([prod(shape)], reshape, {case.kind: case.fields})
    return network([*shape], {case.kind: case.fields})


def computed_by_cnncalc(case: Case) -> LayerSummary | SpecError:
    try:
        return cnncalc.analyze(spec_of(case)).layers[-1]
    except SpecError as error:
        return error


def layer_of(case: Case) -> Layer:
    """The case's layer without any of our checks."""
    fields = {name: plain(value) for name, value in case.fields.items()}
    return registry()[case.kind].model_construct(**fields)


def inputs_of(case: Case) -> list[Any]:
    return [torch.rand(BATCH, *shape) for shape in case.shapes]


def computed_by_torch(case: Case) -> tuple[Any, tuple[int, ...]] | Exception:
    """The module and its output's shape, or why PyTorch refuses."""
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            module = layer_of(case).build(namespace, *case.shapes).eval()
            return module, tuple(module(*inputs_of(case)).shape)
    except Exception as error:  # noqa: BLE001 - PyTorch refuses in many ways
        return error


def agree(case: Case) -> bool:
    """Asserts that cnncalc and PyTorch say the same of a case; returns whether both accept it."""
    row, torchs = computed_by_cnncalc(case), computed_by_torch(case)
    if isinstance(row, SpecError):
        assert isinstance(row, FieldError | ShapeError)
        assert isinstance(torchs, Exception) or is_stricter(row.message), torchs
        return False
    assert not isinstance(torchs, Exception), f"cnncalc accepts, PyTorch refuses: {torchs}"
    module, shape = torchs
    assert (BATCH, *row.output_shape) == shape
    assert row.weights == {name: tuple(w.shape) for name, w in module.named_parameters()}
    assert row.parameters == sum(w.numel() for w in module.parameters())
    buffers = {name: tuple(b.shape) for name, b in module.named_buffers()}
    assert dict(layer_of(case).buffers(*case.shapes)) == buffers
    assert row.buffers == sum(b.numel() for b in module.buffers())
    assert row.multiply_adds == multiply_adds(module, case)
    assert_formulas(row)
    return True


def is_stricter(message: str) -> bool:
    return any(re.search(pattern, message) for pattern in STRICTER)


def multiply_adds(module: Any, case: Case) -> int:
    """Of one sample, as PyTorch's own counter sees them."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs_of(case))
    count, rest = divmod(counter.get_total_flops(), 2 * BATCH)
    assert rest == 0
    return count


def assert_formulas(row: LayerSummary) -> None:
    """Each worked formula comes to the number beside it."""
    formulas = row.formulas
    assert tuple(evaluate(size.text) for size in formulas.output_shape) == row.output_shape
    assert evaluate(formulas.parameters.text) == row.parameters
    assert evaluate(formulas.multiply_adds.text) == row.multiply_adds
    assert (formulas.flops is None) == (row.flops is None)
    if formulas.flops is not None:
        assert evaluate(formulas.flops.text) == row.flops


@pytest.mark.drawn
@pytest.mark.parametrize("kind", KINDS)
def test_layer_agrees_with_pytorch(kind: str) -> None:
    number = examples(EXAMPLES.get(kind, 60))
    accepted = 0

    @settings(max_examples=number)
    @given(STRATEGIES[kind])
    def check(case: Case) -> None:
        nonlocal accepted
        accepted += agree(case)

    check()
    assert accepted >= number // 3


@pytest.mark.drawn
@pytest.mark.parametrize("kind", KINDS)
def test_module_is_built_as_written(kind: str) -> None:
    """Every field reaches the module; the `layer` column's text builds the same module."""

    @settings(max_examples=examples(30))
    @given(
        STRATEGIES[kind].filter(lambda case: not isinstance(computed_by_cnncalc(case), SpecError))
    )
    def check(case: Case) -> None:
        layer = registry()[kind](**{name: plain(v) for name, v in case.fields.items()})
        module = layer.build(namespace, *case.shapes)
        text = record(layer, case.shapes)
        assert computed_by_cnncalc(case).layer == text
        name = text.removeprefix("nn.").partition("(")[0]
        home = torch.nn if hasattr(torch.nn, name) else namespace
        assert repr(eval(text, {"nn": home})) == repr(module)
        for name in type(layer).model_fields:
            assert_reaches(name, getattr(layer, name), module)

    check()


def assert_reaches(name: str, value: Any, module: Any) -> None:
    """The module's attribute of a field's name is the field, spread over the axes."""
    if not hasattr(module, name) or name == "bias":  # the module has no such option; a weight
        return
    if value in ("same", "valid", "linear") or (value in (None, (None,)) and name != "momentum"):
        return  # worked out from the kernel or the input
    built = getattr(module, name)
    if "Pad" in type(module).__name__ and name == "padding":
        built = built[::-1]  # the last axis first
        value = [units for ring in spread_ring(value, len(built) // 2) for units in ring[::-1]]
    elif name == "cropping":
        value = spread_ring(value, len(built))
    elif isinstance(built, tuple) and not isinstance(value, tuple):
        value = (value,) * len(built)
    elif isinstance(value, tuple) and not isinstance(built, tuple):
        (value,) = value
    assert [*built] == [*value] if isinstance(built, tuple) else built == value


def spread_ring(padding: Any, axes: int) -> list[tuple[int, int]]:
    rings = padding if isinstance(padding, tuple) else (padding,) * axes
    return [ring if isinstance(ring, tuple) else (ring, ring) for ring in rings]


@pytest.mark.parametrize("axes", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_fields_have_pytorchs_names_and_defaults(kind: str, axes: int) -> None:
    cls = registry()[kind]
    fields = cls.model_fields
    values = {name: FIELDS[name] for name, field in fields.items() if field.is_required()}
    if kind == "upsample":
        values["scale_factor"] = 2.0
    x = (4, *[6] * axes)
    if "dims" in values:
        values["dims"] = (*range(len(x) + 1),)
    case = Case(kind, values, (x, x) if kind in ("add", "concat", "multiply") else (x,))
    module = computed_by_torch(case)
    if isinstance(module, Exception):
        assert isinstance(computed_by_cnncalc(case), SpecError)
        return
    own = namespace.__dict__[type(module[0]).__name__].__module__.startswith("cnncalc.")
    for name, parameter in inspect.signature(type(module[0])).parameters.items():
        if name in fields:
            if parameter.default is not parameter.empty and (kind, name) not in OTHER_DEFAULTS:
                assert fields[name].default == parameter.default, name
        else:
            known = name in TORCH_ONLY or f"{kind}.{name}" in TORCH_ONLY
            assert own or known, f"{kind} lacks PyTorch's {name}"


OTHER_DEFAULTS = {
    ("softmax", "dim"): "PyTorch's None is a deprecated guess, mostly of axis 1",
    ("log_softmax", "dim"): "PyTorch's None is a deprecated guess, mostly of axis 1",
}
"""Fields whose default is not PyTorch's, and why."""


def test_every_kind_has_a_strategy() -> None:
    place = "tests/support/strategies.py draws"
    wrong = [f"{kind}: {place} no example" for kind in KINDS if kind not in STRATEGIES]
    wrong += [f"{kind}: {place} it, and there is none" for kind in STRATEGIES if kind not in KINDS]
    assert wrong == []


def test_namespace_is_torch_nn_and_what_it_lacks() -> None:
    own = {
        name
        for name, value in vars(namespace).items()
        if getattr(torch.nn, name, None) is not value
    }
    assert {"SameConv2d", "ChannelLayerNorm", "RBF", "Add"} <= own
    assert not [name for name in own if hasattr(torch.nn, name)]
    assert namespace.Conv2d is torch.nn.Conv2d


CORNERS = [
    ("conv", {"out_channels": 2, "kernel_size": 1, "padding": 3, "padding_mode": "circular"}, True),
    (
        "conv",
        {"out_channels": 2, "kernel_size": 1, "padding": 4, "padding_mode": "circular"},
        False,
    ),
    ("conv", {"out_channels": 2, "kernel_size": 1, "padding": 2, "padding_mode": "reflect"}, True),
    ("conv", {"out_channels": 2, "kernel_size": 1, "padding": 3, "padding_mode": "reflect"}, False),
    ("pad", {"padding": [[3, 0]], "mode": "circular"}, True),
    ("pad", {"padding": [[0, 4]], "mode": "circular"}, False),
    ("conv_transpose", {"out_channels": 2, "kernel_size": 2, "output_padding": 1}, False),
    (
        "conv_transpose",
        {"out_channels": 2, "kernel_size": 2, "output_padding": 1, "dilation": 2},
        True,
    ),
    ("max_pool", {"kernel_size": 2, "padding": 1, "dilation": 3}, True),
    ("max_pool", {"kernel_size": 2, "padding": 2, "dilation": 3}, False),
    ("max_pool", {"kernel_size": 2, "stride": 2, "ceil_mode": True}, True),
    ("max_pool", {"kernel_size": 1, "stride": 3, "ceil_mode": True}, True),
    ("avg_pool", {"kernel_size": 1, "stride": 5, "padding": "same"}, True),
    ("adaptive_max_pool", {"output_size": [None]}, True),
    ("upsample", {"scale_factor": 0.34}, True),
    ("upsample", {"scale_factor": 1 / 3}, True),
    ("upsample", {"scale_factor": 0.33}, False),
]
"""Of an image of two channels and three places: the kind, its fields, whether PyTorch takes it."""


@pytest.mark.parametrize(("kind", "fields", "accepted"), CORNERS)
def test_corner_agrees_with_pytorch(kind: str, fields: dict[str, Any], accepted: bool) -> None:
    assert agree(Case(kind, fields, ((2, 3),))) == accepted


def test_upsampling_rounds_as_floats_do() -> None:
    """49 · (1/49) is below 1, 10 · 0.7 is 7, though the float is below 7/10."""
    assert not agree(Case("upsample", {"scale_factor": 1 / 49}, ((1, 49),)))
    assert agree(Case("upsample", {"scale_factor": 0.7}, ((1, 10),)))


def test_average_of_a_volume_smaller_than_its_window() -> None:
    """AvgPool3d alone does not count the padding when it asks whether its window fits."""
    fields = {"kernel_size": 3, "stride": 1, "padding": 1}
    assert agree(Case("avg_pool", fields, ((1, 2, 2),)))
    assert not agree(Case("avg_pool", fields, ((1, 2, 2, 2),)))
    assert agree(Case("avg_pool", {"kernel_size": 3, "padding": "same"}, ((1, 2, 2, 2),)))

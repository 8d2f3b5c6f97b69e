"""Weights of another implementation: paired by what is known, or refused; never by chance."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import conv, examples, network

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch import nn  # noqa: E402

from cnncalc.importing.from_torch.program import read_program  # noqa: E402
from cnncalc.importing.from_torch.tracing import trace  # noqa: E402
from cnncalc.importing.import_network import imported  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path


class DeclaredOtherwise(nn.Module):
    """Called in another order than declared."""

    shape = (4, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.root = nn.Sequential(nn.Conv2d(4, 4, 1))
        self.left = nn.Sequential(nn.Conv2d(4, 4, 1))

    def forward(self, x: Any) -> Any:
        return self.root(self.left(x).relu())


class ShortcutFirst(nn.Module):
    """A shortcut declared before the body."""

    shape = (4, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.short = nn.Sequential(nn.Conv2d(4, 8, 1), nn.BatchNorm2d(8))
        self.conv = nn.Conv2d(4, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Any) -> Any:
        return self.norm(self.conv(x)) + self.short(x)


class CalledTwice(nn.Module):
    """One convolution and one norm, called twice."""

    shape = (4, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Any) -> Any:
        return self.norm(self.conv(x + self.norm(self.conv(x))))


class TwoNames(nn.Module):
    """One layer under two names."""

    shape = (2, 20)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 3, 3)
        self.net = nn.Sequential(self.conv, nn.ReLU(), nn.Conv1d(3, 3, 3))

    def forward(self, x: Any) -> Any:
        return self.net(x)


class Square(nn.Module):
    """A matrix of equal sides used as `x @ W`, whose layer has its transpose."""

    shape = (4,)

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4))
        self.last = nn.Linear(4, 4, bias=False)

    def forward(self, x: Any) -> Any:
        return self.last((x @ self.weight).relu())


MODULES = (DeclaredOtherwise, ShortcutFirst, CalledTwice, TwoNames, Square)


def moved(model: Any) -> Any:
    """The module in evaluation, with every tensor off its first value."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) + 0.1 * ("var" in name))
    return model.eval()


def spec_of(model: Any) -> dict[str, Any]:
    return imported(read_program(trace(model, model.shape, "it", hint=""), "it")).spec


def outputs(ours: Any, theirs: Any) -> tuple[Any, Any]:
    x = torch.randn(3, *theirs.shape)
    with torch.no_grad():
        return ours.eval()(x), theirs(x)


@pytest.mark.parametrize("cls", MODULES)
@pytest.mark.parametrize("wrapped", [False, True])
def test_the_spec_of_an_import_knows_the_names(cls: Any, wrapped: bool) -> None:
    torch.manual_seed(0)
    model = moved(cls())
    ours = cnncalc.build(spec_of(model))
    state = nn.DataParallel(model).state_dict() if wrapped else model.state_dict()
    loaded = cnncalc.load_weights(ours, state, strict=False)
    assert loaded.ordered == {}
    assert {name.rpartition(".")[2] for name in loaded.missing} <= {"num_batches_tracked"}
    torch.testing.assert_close(*outputs(ours, model))


@pytest.mark.parametrize("cls", MODULES)
def test_without_them_it_is_right_or_refused(cls: Any) -> None:
    torch.manual_seed(0)
    model = moved(cls())
    spec = {key: value for key, value in spec_of(model).items() if key != "imported"}
    ours = cnncalc.build(spec)
    loaded = cnncalc.load_weights(ours, model.state_dict(), strict=False)
    left = [name for name in loaded.missing if not name.endswith("num_batches_tracked")]
    if left:
        with pytest.raises(cnncalc.UsageError, match=r"change places|counterpart"):
            cnncalc.load_weights(ours, model.state_dict())
    else:
        torch.testing.assert_close(*outputs(ours, model))


def test_names_go_through_a_file_and_a_copy(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = moved(DeclaredOtherwise())
    text = imported(read_program(trace(model, model.shape, "it", hint=""), "it")).text
    assert text.endswith("imported: {weights: {left.conv0: left.0, root.conv0: root.0}}\n")
    (tmp_path / "net.yaml").write_text(text, encoding="utf-8")
    built = cnncalc.build(tmp_path / "net.yaml")
    for ours in (built, copy.deepcopy(built), pickle.loads(pickle.dumps(built))):
        cnncalc.load_weights(ours, model.state_dict())
        torch.testing.assert_close(*outputs(ours, model))


def test_a_matrix_that_is_used_the_other_way_round_is_turned() -> None:
    model = moved(Square())
    spec = spec_of(model)
    assert spec["imported"] == {"weights": {"linear1.weight": "weight^T"}}
    ours = cnncalc.build(spec)
    loaded = cnncalc.load_weights(ours, model.state_dict())
    assert loaded.matched == {"linear1.weight": "weight^T", "last.weight": "last.weight"}
    torch.testing.assert_close(*outputs(ours, model))


def test_what_could_change_places_is_named() -> None:
    model = cnncalc.build(network([4], {"linear": 4}, "relu", {"linear": 4}))
    state = nn.ModuleDict({"b": nn.Linear(4, 4), "a": nn.Linear(4, 4)}).state_dict()
    loaded = cnncalc.load_weights(model, state, strict=False)
    assert loaded.matched == {}
    assert loaded.exchangeable == (("b.weight", "a.weight"), ("b.bias", "a.bias"))
    with pytest.raises(cnncalc.UsageError) as error:
        cnncalc.load_weights(model, state)
    assert str(error.value) == (
        "b.weight and a.weight, both (4, 4), could change places unnoticed: no name says which of"
        " the model's tensors they are (4 are unpaired); map pairs them, strict=False leaves them,"
        " in_order=True pairs those of equal shape in order"
    )


def test_equal_tensors_may_change_places() -> None:
    model = cnncalc.build(network([3, 4, 4], "batch_norm", "relu", "batch_norm"))
    state = nn.ModuleDict({"b": nn.BatchNorm2d(3), "a": nn.BatchNorm2d(3)}).state_dict()
    assert cnncalc.load_weights(model, state).missing == ()


def test_a_bias_goes_with_its_weight() -> None:
    """Biases of one shape belong where their weights go, whose shapes differ."""
    model = cnncalc.build(network([3, 5, 5], conv(4, 3), "relu", conv(4, 1)))
    state = nn.ModuleDict({"b": nn.Conv2d(4, 4, 1), "a": nn.Conv2d(3, 4, 3)}).state_dict()
    matched = cnncalc.load_weights(model, state).matched
    assert matched["conv1.bias"] == "a.bias"
    assert matched["conv2.bias"] == "b.bias"


def test_no_layer_is_made_of_two_of_theirs() -> None:
    model = cnncalc.build(network([3], {"linear": 5}))
    state = {"a.weight": torch.rand(5, 3), "b.bias": torch.rand(5)}
    assert cnncalc.load_weights(model, state, strict=False).matched == {}
    chosen = {"linear1.weight": "a.weight", "linear1.bias": "b.bias"}
    assert cnncalc.load_weights(model, state, map=chosen).matched == chosen


@st.composite
def chains(draw: st.DrawFn) -> tuple[list[Any], list[int]]:
    """Layers of PyTorch in the order of their calls, and the order in which they are declared."""
    width, layers = 4, []
    for _ in range(draw(st.integers(1, 5))):
        out = draw(st.sampled_from([3, 4]))
        layers.append((width, out, draw(st.sampled_from([1, 3])), draw(st.booleans())))
        width = out
    return layers, draw(st.permutations(range(len(layers))))


@settings(max_examples=examples(60))
@given(chains(), st.booleans())
def test_whatever_the_order_of_declaration_no_pair_is_wrong(chain: Any, named: bool) -> None:
    layers, declared = chain
    torch.manual_seed(len(layers))
    modules, items = {}, []
    for index, (given_width, out, kernel, bias) in enumerate(layers):
        layer = nn.Conv2d(given_width, out, kernel, padding=kernel // 2, bias=bias)
        modules[index] = nn.Sequential(layer, nn.BatchNorm2d(out))
        fields = {"out_channels": out, "kernel_size": kernel, "padding": kernel // 2, "bias": bias}
        items += [{"conv": fields}, "batch_norm"]
    theirs = moved(nn.ModuleDict({f"m{index}": modules[index] for index in declared}))
    spec = network([4, 5, 5], *items)
    if named:
        names = {f"conv{i + 1}": f"m{i}.0" for i in modules}
        names |= {f"batch_norm{i + 1}": f"m{i}.1" for i in modules}
        spec["imported"] = {"weights": names}
    ours = cnncalc.build(spec).eval()
    try:
        cnncalc.load_weights(ours, theirs.state_dict())
    except cnncalc.UsageError:
        assert not named
        return
    x = torch.randn(2, 4, 5, 5)
    with torch.no_grad():
        expected, output = x, ours(x)
        for module in modules.values():
            expected = module(expected)
    torch.testing.assert_close(output, expected)

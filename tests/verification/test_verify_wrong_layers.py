"""A layer class that claims something else than its module does is found by `verify`, and named.

Each test registers a wrong class of its own, which is taken back after it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import agrees, conv, network
from support.processes import invoke

import cnncalc
from cnncalc.layers.activation import Softmax
from cnncalc.layers.base import REGISTRY, Elementwise, Layer
from cnncalc.layers.conv import Conv, ConvTranspose
from cnncalc.layers.norm import BatchNorm, GroupNorm
from cnncalc.layers.pool import MaxPool
from cnncalc.layers.shape import Flatten
from cnncalc.maths.windows import SAME, WHOLE, Window
from cnncalc.spec import bundled
from cnncalc.verification.result import Check, Verification

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from cnncalc.pytorch.compiler import compile_graph  # noqa: E402
from cnncalc.verification import measuring  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def no_wrong_class_stays() -> Iterator[None]:
    before = set(REGISTRY)
    yield
    for kind in set(REGISTRY) - before:
        if kind.startswith("wrong"):
            del REGISTRY[kind]


def wrongly(item: dict[str, Any] | str = "wrong") -> Verification:
    """The verification of a network with the wrong layer in the middle."""
    spec = network([4, 12, 12], conv(4, 3, padding=1), "relu", item, "relu", conv(4, 3))
    return cnncalc.verify(spec)


def found(verification: Verification) -> dict[str, set[str]]:
    assert not verification.ok
    return {layer.name: {c.name for c in layer.differences} for layer in verification.differing}


KERNEL = {"out_channels": 4, "kernel_size": 3, "padding": 1}


def test_parameters() -> None:
    class Wrong(Conv):
        kind = "wrong"

        def weights(self, x: Any) -> Any:
            return {"weight": super().weights(x)["weight"]}

    verification = wrongly({"wrong": KERNEL})
    assert found(verification) == {"wrong1": {"parameters", "tensors"}}
    checks = {check.name: check for check in verification.layers[2].checks}
    assert checks["parameters"] == Check("parameters", 144, 148)
    assert checks["tensors"].measured == "weight 4×4×3×3, bias 4"
    totals = {check.name: check for check in verification.totals if not check.ok}
    assert totals["parameters"] == Check("parameters", 148 + 144 + 148, 3 * 148)
    assert totals["names in state_dict"].measured == "6: also wrong1.bias"


def test_the_shape_of_a_weight() -> None:
    class Wrong(Conv):
        kind = "wrong"

        def weights(self, x: Any) -> Any:
            weight, bias = super().weights(x).values()
            return {"weight": (*weight[::-1],), "bias": bias}

    assert found(wrongly({"wrong": {**KERNEL, "kernel_size": [3, 1], "padding": [1, 0]}})) == {
        "wrong1": {"tensors"}
    }


def test_multiply_adds() -> None:
    class Wrong(Conv):
        kind = "wrong"

        def multiply_adds(self, x: Any) -> Any:
            return super().multiply_adds(x) + 1

    verification = wrongly({"wrong": KERNEL})
    assert found(verification) == {"wrong1": {"multiply-adds"}}
    assert "20,737, measured: 20,736" in str(verification)


def test_buffers() -> None:
    class Wrong(BatchNorm):
        kind = "wrong"

        def buffers(self, x: Any) -> Any:
            return {"running_mean": x[:1], "running_var": x[:1]}

    verification = wrongly()
    assert found(verification) == {"wrong1": {"buffers", "tensors"}}
    assert "differs: buffers 8, measured: 9" in str(verification)


def test_weights_that_do_not_train() -> None:
    class Wrong(Conv):
        kind = "wrong"

        def build(self, nn: Any, x: Any) -> Any:
            module = super().build(nn, x)
            if hasattr(module, "bias"):
                module.bias.requires_grad = False
            return module

    assert found(wrongly({"wrong": KERNEL})) == {"wrong1": {"parameters", "frozen parameters"}}


def test_output_shape() -> None:
    class Wrong(Layer):
        kind = "wrong"

        def output_shape(self, x: Any) -> Any:
            return (2 * x[0], *x[1:])

        def build(self, nn: Any, x: Any) -> Any:
            return nn.Identity()

    verification = wrongly()
    assert found(verification)["wrong1"] >= {"output", "activation bytes"}
    assert set(found(verification)) == {"wrong1"}
    assert "8×12×12, measured: 4×12×12" in str(verification)
    assert verification.totals[0].name == "module"
    assert "RuntimeError" in str(verification.totals[0].measured)


def test_samples_that_are_mixed_up() -> None:
    class Wrong(Layer):
        kind = "wrong"

        def output_shape(self, x: Any) -> Any:
            return (x[0] * x[1], *x[2:])

        def build(self, nn: Any, x: Any) -> Any:
            return nn.Flatten(0, 2)

    verification = cnncalc.verify(network([4, 12, 12], "wrong"), quick=True)
    assert found(verification) == {"wrong1": {"module"}}
    assert "turns a batch of 2 into the shape [96, 12]" in str(verification)


SAID: dict[str, Any] = {
    "too little": Window(1),
    "too much": Window(5, 1, 2, 2),
    "one too much at the end": Window(4, 1, 1, 2),
    "one too far before": Window(3, 1, 2, 0),
    "one too far behind": Window(3, 1, 0, 2),
    "holes that are none": Window(3, 1, 2, 2, dilation=2),
    "all": WHOLE,
    "one": SAME,
}
"""What a convolution of 3, padded by 1, may wrongly say that it sees."""


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("size", [12, 2])
def test_reach_of_a_convolution(said: str, size: int) -> None:
    class Wrong(Conv):
        kind = "wrong"

        def reach(self, x: Any) -> Any:
            return (WHOLE, super().reach(x)[1], SAID[said])

    spec = network([4, size, size], conv(4, 3, padding=1), {"wrong": KERNEL}, "relu")
    if size == 2 and said in ("too much", "all", "one too much at the end"):
        agrees(cnncalc.verify(spec))  # no unit of two shows a difference
    else:
        assert found(cnncalc.verify(spec)) == {"wrong1": {"receptive field"}}


def test_reach_of_a_max_pool() -> None:
    class Wrong(MaxPool):
        kind = "wrong"

        def reach(self, x: Any) -> Any:
            return (SAME, *(Window(3, 2) for _ in x[1:]))

    verification = wrongly({"wrong": {"kernel_size": 2}})
    assert found(verification) == {"wrong1": {"receptive field"}}
    assert "unit 0×0 sees units 0…1 × 0…1, not 0…2 × 0…2, of its input" in str(verification)


def test_reach_of_a_transposed_convolution() -> None:
    class Wrong(ConvTranspose):
        kind = "wrong"

        def reach(self, x: Any) -> Any:
            return (WHOLE, *(SAME for _ in x[1:]))

    assert found(wrongly({"wrong": KERNEL})) == {"wrong1": {"receptive field"}}


def test_reach_of_an_activation_that_pools() -> None:
    class Wrong(Elementwise):
        kind = "wrong"

        def build(self, nn: Any, x: Any) -> Any:
            return nn.MaxPool2d(3, stride=1, padding=1)

    assert found(wrongly()) == {"wrong1": {"receptive field"}}


def test_reach_of_norms() -> None:
    class Wrong(GroupNorm):
        kind = "wrong"

        def reach(self, x: Any) -> Any:
            return (SAME,) * len(x)

    class WrongBatch(BatchNorm):
        kind = "wrong_batch"

        def reach(self, x: Any) -> Any:
            return (SAME, *(WHOLE for _ in x[1:]))

    class WrongSoftmax(Softmax):
        kind = "wrong_softmax"

        def reach(self, x: Any) -> Any:
            return (SAME,) * len(x)

    assert found(wrongly({"wrong": {"num_groups": 2}})) == {"wrong1": {"receptive field"}}
    assert found(wrongly("wrong_batch")) == {"wrong_batch1": {"receptive field"}}
    assert found(wrongly({"wrong_softmax": {"dim": 3}})) == {"wrong_softmax1": {"receptive field"}}


def test_axes_that_are_exchanged() -> None:
    class Wrong(Layer):
        kind = "wrong"

        def build(self, nn: Any, x: Any) -> Any:
            return nn.Permute(0, 1, 3, 2)

    assert found(wrongly()) == {"wrong1": {"receptive field"}}


def test_an_axis_that_does_not_survive() -> None:
    class Wrong(Flatten):
        kind = "wrong"

        def reach(self, x: Any) -> Any:
            return (WHOLE, WHOLE, SAME)

    spec = network([1, 1, 6], "wrong")
    agrees(cnncalc.verify(spec, quick=True))
    assert found(cnncalc.verify(spec)) == {"wrong1": {"receptive field"}}


def test_a_layer_that_sees_nothing() -> None:
    class Wrong(Layer):
        kind = "wrong"

        def build(self, nn: Any, x: Any) -> Any:
            return nn.Threshold(1e9, 0.0)

    verification = wrongly()
    assert found(verification) == {"wrong1": {"receptive field"}}
    assert "unit 0×0 sees nothing of its input" in str(verification)


def test_flat_parts_hide_nothing() -> None:
    class Wrong(Elementwise):
        kind = "wrong_no_more"

        def build(self, nn: Any, x: Any) -> Any:
            return nn.Hardshrink(1.6)

    agrees(wrongly("wrong_no_more"))


def test_a_module_that_fails() -> None:
    class Wrong(Layer):
        kind = "wrong"

        def build(self, nn: Any, x: Any) -> Any:
            return nn.Conv2d(x[0] + 1, x[0], kernel_size=1)

    verification = wrongly()
    assert found(verification)["wrong1"] >= {"module"}
    assert set(found(verification)) == {"wrong1"}
    assert "RuntimeError" in str(verification)


def test_a_module_that_cannot_be_built() -> None:
    class Wrong(Layer):
        kind = "wrong"

        def build(self, nn: Any, x: Any) -> Any:
            return nn.Conv2d(x[0], x[0])

    verification = wrongly()
    assert found(verification) == {"wrong1": {"module"}}
    assert "TypeError" in str(verification)


@pytest.mark.exhaustive
def test_deep_in_a_network(tmp_path: Path) -> None:
    class Wrong(Conv):
        kind = "wrong"

        def reach(self, x: Any) -> Any:
            return (WHOLE, *(Window(3, w.stride, 1, 1) for w in self.window(x)))

    text = cnncalc_text("resnet").replace(
        "- conv_bn: {out_channels: =4*width}", "- wrong: {out_channels: =4*width, kernel_size: 1}"
    )
    assert "wrong" in text
    spec = tmp_path / "deep.yaml"
    spec.write_text(text, encoding="utf-8")
    verification = cnncalc.verify(cnncalc.load(spec, variant="resnet50", input="3x64x64"))
    assert len(verification.differing) == 3 + 4 + 6 + 3
    assert all(".body.wrong1" in layer.name for layer in verification.differing)
    status, _, err = invoke("verify", str(spec), "--variant", "resnet50", "--input", "3x64x64")
    assert status == 1
    assert "16 of 159 layers differ from the table: stage1." in err
    assert err.endswith("and 6 more\n")


def cnncalc_text(name: str) -> str:
    known = bundled.find(name)
    assert known is not None
    return known[0].read_text(encoding="utf-8")


def test_a_wrong_field_behind_right_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """End to end finds what no layer's own step shows: here, a chain that is wired wrongly."""

    def crossed(graph: Any) -> Any:
        model = compile_graph(graph)
        image, _, _, third, *_ = model.graph.nodes
        third.args = (image,)
        return model

    monkeypatch.setattr(measuring, "compile_graph", crossed)
    verification = cnncalc.verify(network([2, 9], *[conv(2, 3, padding=1)] * 4))
    assert set(found(verification)) == {"conv3", "conv4"}
    assert "unit 0 sees pixels 0…1, not 0…3, along input axis 1" in str(verification)


def test_a_difference_is_status_1_and_names_the_layer(tmp_path: Path) -> None:
    class Wrong(Conv):
        kind = "wrong"

        def multiply_adds(self, x: Any) -> Any:
            return super().multiply_adds(x) * 2

    spec = tmp_path / "bad.yaml"
    spec.write_text("input: [1, 8, 8]\nlayers:\n  - wrong: {out_channels: 2, kernel_size: 3}\n")
    status, out, err = invoke("verify", str(spec))
    assert status == 1
    assert err == "bad: 1 of 1 layers differs from the table: wrong1 (multiply-adds)\n"
    assert "1,296, measured: 648" in out
    assert out.endswith("1 of 1 layers differs from the table\n")

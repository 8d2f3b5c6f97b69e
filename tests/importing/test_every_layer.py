"""Every layer comes back from what it is built as, from each importer, or here stands why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.one_of_each import SHAPE, network_of_all

import cnncalc
from cnncalc.layers import registry

torch = pytest.importorskip("torch", reason="modules are built and exported")

from torch import nn  # noqa: E402

from cnncalc.importing.from_torch.program import TRANSLATORS, read_program  # noqa: E402
from cnncalc.importing.from_torch.tracing import trace  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cnncalc.importing.sketch.operations import Operation, Sketch

NOTHING = "does nothing in evaluation, so that nothing of it is left"
ANYWHERE = {
    "depthwise_conv": "is a conv with as many groups as channels",
    "identity": NOTHING,
    "stochastic_depth": NOTHING,
    "unflatten": "is a reshape",
}
"""Kinds that no importer makes, and why."""
NOT_FROM: dict[str, Mapping[str, str]] = {
    "torch": ANYWHERE,
    "ONNX": {
        **ANYWHERE,
        "adaptive_avg_pool": "is exported as an avg_pool, where bins are equal",
        "adaptive_max_pool": "is exported as a max_pool, where bins are equal",
        "channel_dropout": NOTHING,
        "dropout": NOTHING,
        "group_norm": "is exported as an instance_norm of another shape, and a channel_affine",
        "select": "is exported as GatherND behind a transpose, which has no layer",
    },
}
"""Those that an importer does not make of what PyTorch makes of the layer."""
OPERATORS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "hardtanh": (lambda x: nn.functional.hardtanh(x, 0, 6), "relu6"),
    "clamp_min": (lambda x: x.clamp_min(0), "relu"),
    "amax": (lambda x: x.amax((2, 3), keepdim=True), "global_max_pool"),
    "narrow": (lambda x: x.narrow(1, 0, 2), "slice"),
}
"""PyTorch's operators that no layer of ours is built of: how one is called, and what it is here."""
ONNX_OPERATORS: dict[str, tuple[int, dict[str, Any], str]] = {
    "Sum": (2, {}, "add"),
    "HardSwish": (1, {}, "hardswish"),
    "GlobalMaxPool": (1, {}, "global_max_pool"),
    "LRN": (1, {"size": 3}, "local_response_norm"),
    "DepthToSpace": (1, {"blocksize": 2, "mode": "CRD"}, "pixel_shuffle"),
}
"""ONNX's likewise, behind a relu: how many inputs it has, its attributes, and what it is here."""


def kinds_before(end: Operation) -> set[str]:
    """The kinds of the layers that an operation depends on."""
    found, pending = set(), [end]
    while pending:
        operation = pending.pop()
        found.add(operation.kind)
        pending += operation.inputs
    return found


def unknown(sketch: Sketch, kinds: list[str], source: str) -> list[str]:
    """What is missing, in words; and which reasons are none."""
    assert len(sketch.output.inputs) == len(kinds)
    made = {
        kind: kind in kinds_before(branch)
        for kind, branch in zip(kinds, sketch.output.inputs, strict=True)
    }
    reasons = NOT_FROM[source]
    wrong = [
        f"{kind}: the importer from {source} does not know it"
        for kind, known in made.items()
        if not known and kind not in reasons
    ]
    return wrong + [
        f"{kind}: the importer from {source} knows it, and a reason is given why not"
        for kind in reasons
        if made.get(kind, True)
    ]


def from_torch() -> tuple[Sketch, list[str]]:
    kinds, spec = network_of_all()
    model = cnncalc.build(spec, seed=0).eval()
    return read_program(trace(model, SHAPE, "all", hint=""), "all"), kinds


def test_the_importer_from_torch_knows_every_layer() -> None:
    sketch, kinds = from_torch()
    assert unknown(sketch, kinds, "torch") == []


@pytest.mark.exhaustive
def test_the_importer_from_onnx_knows_every_layer(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxscript", reason="PyTorch exports with onnxscript")
    from cnncalc.importing.from_onnx.file import read_file

    kinds, spec = network_of_all()
    cnncalc.export(spec, tmp_path / "all.onnx")
    assert unknown(read_file(str(tmp_path / "all.onnx")), kinds, "ONNX") == []


class Called(nn.Module):
    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


def test_the_importer_from_torch_knows_other_operators() -> None:
    wrong = []
    for name, (function, kind) in OPERATORS.items():
        program = trace(Called(function), SHAPE, name, hint="")
        called = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
        if f"aten.{name}" not in {target.rpartition(".")[0] for target in called}:
            wrong.append(f"{name}: its example calls {', '.join(called)}")
        elif kind not in kinds_before(read_program(program, name).output):
            wrong.append(f"{name}: the importer from torch does not know it")
    assert wrong == []


def test_the_importer_from_onnx_knows_other_operators(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    from onnx import TensorProto, helper

    from cnncalc.importing.from_onnx.file import read_file

    wrong = []
    for name, (count, attributes, kind) in ONNX_OPERATORS.items():
        nodes = [
            helper.make_node("Relu", ["x"], ["r"]),
            helper.make_node(name, ["r"] * count, ["y"], **attributes),
        ]
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, *SHAPE])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        model = helper.make_model(
            helper.make_graph(nodes, "net", [x], [y]),
            opset_imports=[helper.make_opsetid("", 18)],
            ir_version=8,
        )
        onnx.save(model, str(tmp_path / "net.onnx"))
        found = kinds_before(read_file(str(tmp_path / "net.onnx")).output)
        if kind not in found or "unknown" in found:
            wrong.append(f"{name}: the importer from ONNX does not know it")
    assert wrong == []


def test_what_is_missing_and_what_is_there_after_all_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(TRANSLATORS, "gelu")
    monkeypatch.setitem(NOT_FROM, "torch", {**ANYWHERE, "relu": "no reason"})
    sketch, kinds = from_torch()
    assert unknown(sketch, kinds, "torch") == [
        "gelu: the importer from torch does not know it",
        "relu: the importer from torch knows it, and a reason is given why not",
    ]


def test_every_operator_that_is_registered_exists() -> None:
    """A misspelt one would translate nothing."""
    assert [name for name in TRANSLATORS if not hasattr(torch.ops.aten, name)] == []
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    from cnncalc.importing.from_onnx.file import TRANSLATORS as OF_ONNX

    assert [name for name in OF_ONNX if not onnx.defs.has(name)] == []


def test_reasons_are_of_kinds_that_exist() -> None:
    assert {kind for reasons in NOT_FROM.values() for kind in reasons} <= registry().keys()

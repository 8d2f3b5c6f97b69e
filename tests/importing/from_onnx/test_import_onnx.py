"""ONNX files imported: ours, and those of PyTorch's own exporter, give the figures they hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import by_tier

import cnncalc
from cnncalc.importing.import_network import import_network

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from torch import nn  # noqa: E402

if TYPE_CHECKING:
    from cnncalc import Summary

CONV = {"out_channels": 8, "kernel_size": 3, "padding": 1}
BN = ["batch_norm", "relu"]
NETWORKS = {
    "residual": [
        {"conv": {**CONV, "bias": False}},
        *BN,
        {
            "residual": {
                "body": [{"conv": {**CONV, "stride": 2}}, *BN],
                "shortcut": [{"conv": {"out_channels": 8, "kernel_size": 1, "stride": 2}}],
            }
        },
        "global_avg_pool",
        "flatten",
        {"linear": 10},
    ],
    "gated": [
        {"conv": {**CONV, "padding": "same", "stride": 2}},
        "silu",
        {
            "multiply": [
                [],
                ["global_avg_pool", {"conv": {"out_channels": 8, "kernel_size": 1}}, "sigmoid"],
            ]
        },
        "hardswish",
        {"max_pool": {"kernel_size": 3, "stride": 2, "padding": 1}},
        {"conv": {**CONV, "groups": 4}},
        {"channel_shuffle": 2},
        {"slice": {"start": 2, "stop": 6}},
        "flatten",
        {"linear": 3},
        "softmax",
    ],
    "dense": [
        {"conv": CONV},
        {"concat": [[], [{"conv": CONV}]]},
        {"concat": [[], [{"conv": CONV}]]},
        {"avg_pool": 2},
        "layer_norm",
        "gelu",
        {"conv_transpose": {"out_channels": 4, "kernel_size": 2, "stride": 2}},
        {"upsample": {"scale_factor": 2}},
        "relu6",
    ],
}


def analyzed(file: str) -> Summary:
    return cnncalc.analyze(cnncalc.load(import_network(file).spec))


@pytest.mark.parametrize("name", by_tier(NETWORKS, "gated"))
def test_what_we_export_imports_back_to_the_same_figures(name: str, tmp_path: Path) -> None:
    network = {"name": name, "input": [3, 16, 16], "layers": NETWORKS[name]}
    expected = cnncalc.analyze(network)
    file = tmp_path / f"{name}.onnx"
    cnncalc.export(network, file)
    summary = analyzed(str(file))
    assert summary.totals.unknown == ()
    assert summary.totals.parameters == expected.totals.parameters
    assert summary.totals.multiply_adds == expected.totals.multiply_adds
    assert summary.input_shape == expected.input_shape
    assert summary.output_shape == expected.output_shape
    assert summary.totals.receptive_field == expected.totals.receptive_field


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=2)
        )
        self.fc = nn.Linear(6 * 9, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.flatten(self.body(x), 1))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamo", [True, False])
def test_what_pytorch_exports(dynamo: bool, tmp_path: Path) -> None:
    module, x, file = Small().eval(), torch.randn(1, 3, 10, 10), str(tmp_path / "small.onnx")
    torch.onnx.export(module, (x,), file, dynamo=dynamo, verbose=False)
    summary, expected = analyzed(file), cnncalc.analyze_module(module, (3, 10, 10))
    assert summary.totals == expected.totals
    assert [row.name for row in summary.layers if "body" in row.name]


def write(file: Path, nodes: list[Any], weights: dict[str, tuple[int, ...]], **options: Any) -> str:
    """A model written node by node."""
    import numpy as np

    tensors = [
        numpy_helper.from_array(np.zeros(shape, np.float32), key) for key, shape in weights.items()
    ]
    inputs = [
        helper.make_tensor_value_info(key, TensorProto.FLOAT, shape)
        for key, shape in options.get("inputs", {"x": ["n", 3, 8, 8]}).items()
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "net", inputs, [output], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), file)
    return str(file)


def test_weights_used_twice_are_counted_once(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"]),
        helper.make_node("Conv", ["h", "w"], ["y"]),
    ]
    summary = analyzed(write(tmp_path / "twice.onnx", nodes, {"w": (3, 3, 1, 1)}))
    assert (summary.totals.parameters, summary.totals.multiply_adds) == (9, 2 * 9 * 64)


def test_an_operator_without_a_layer_is_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"]),
        helper.make_node("CumSum", ["h", "axis"], ["s"]),
        helper.make_node("Conv", ["s", "w2"], ["y"]),
    ]
    weights = {"w": (4, 3, 1, 1), "w2": (2, 4, 1, 1), "axis": ()}
    summary = analyzed(write(tmp_path / "odd.onnx", nodes, weights))
    assert summary.totals.unknown == ("unknown1 (CumSum)",)
    assert summary.totals.parameters == 12 + 8


def test_a_product_of_weights_is_no_weight(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["a", "b"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    inputs = {"x": ["n", 12]}
    file = write(tmp_path / "low.onnx", nodes, {"a": (12, 2), "b": (2, 10)}, inputs=inputs)
    totals = analyzed(file).totals
    assert (totals.parameters, totals.unknown) == (0, ("unknown1 (MatMul)",))


def test_a_weight_and_its_transpose_are_not_shared(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Transpose", ["w"], ["t"]),
        helper.make_node("MatMul", ["h", "t"], ["y"]),
    ]
    file = write(tmp_path / "tied.onnx", nodes, {"w": (12, 12)}, inputs={"x": ["n", 12]})
    summary = analyzed(file)
    assert [row.kind for row in summary.layers] == ["linear", "unknown"]
    assert summary.totals.parameters == 144


HALF, CORNERS = "half_pixel", "align_corners"


@pytest.mark.parametrize(
    ("side", "attributes", "kind"),
    [
        (16, {"mode": "nearest"}, "upsample"),
        (16, {"mode": "nearest", "nearest_mode": "floor"}, "unknown"),
        (12, {"mode": "nearest"}, "unknown"),
        (12, {"mode": "nearest", "coordinate_transformation_mode": CORNERS}, "unknown"),
        (
            12,
            {
                "mode": "nearest",
                "coordinate_transformation_mode": "asymmetric",
                "nearest_mode": "floor",
            },
            "upsample",
        ),
        (4, {"mode": "linear", "coordinate_transformation_mode": HALF}, "upsample"),
        (4, {"mode": "linear", "antialias": 1}, "unknown"),
    ],
)
def test_only_what_our_upsample_computes_is_one(
    side: int, attributes: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    sizes = helper.make_tensor("sizes", TensorProto.INT64, [4], [2, 3, side, side])
    nodes = [
        helper.make_node("Constant", [], ["sizes"], value=sizes),
        helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **attributes),
    ]
    (row,) = analyzed(write(tmp_path / "resize.onnx", nodes, {})).layers
    assert (row.kind, row.output_shape) == (kind, (3, side, side))


def test_uneven_padding_is_a_layer_of_its_own(tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], pads=[0, 1, 1, 2])]
    network = import_network(write(tmp_path / "uneven.onnx", nodes, {"w": (4, 3, 3, 3)}))
    assert network.spec["layers"][0] == {"pad": {"padding": [[0, 1], [1, 2]]}}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            {"x": ["n", 3, "h", "w"]},
            r"its input has the shape \['n', 3, 'h', 'w'\]; only the first",
        ),
        ({"x": ["n", 3, 8, 8], "z": [1]}, r"has one input; this one has 2 \(x, z\)"),
    ],
)
def test_inputs_that_no_spec_has(inputs: dict[str, Any], message: str, tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    file = write(tmp_path / "net.onnx", nodes, {}, inputs=inputs)
    with pytest.raises(cnncalc.UsageError, match=message):
        import_network(file)


@pytest.mark.parametrize("content", [b"", b"\x00\x01 no model", b"<html>"])
def test_a_damaged_file(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "bad.onnx"
    file.write_bytes(content)
    with pytest.raises(cnncalc.UsageError, match=r"bad\.onnx: is no ONNX file"):
        import_network(str(file))


def test_without_onnx_it_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "cnncalc.importing.from_onnx.file", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    file = tmp_path / "net.onnx"
    file.write_bytes(b"x")
    with pytest.raises(cnncalc.UsageError, match=r"import of \.onnx needs onnx: pip install onnx"):
        import_network(str(file))


def kept_apart(name: str, location: str) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=(4, 3, 3, 3))
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def inside_a_branch(location: str) -> Any:
    """A node whose inner graph holds the tensor."""
    output = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    node = helper.make_node("Identity", ["w"], ["z"])
    graph = helper.make_graph([node], "inner", [], [output], [kept_apart("w", location)])
    return helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)


class TestDataKeptApart:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "secret").write_bytes(bytes(432))
        (tmp_path / "here" / "data").mkdir(parents=True)
        (tmp_path / "here" / "weights.bin").write_bytes(bytes(432))
        (tmp_path / "here" / "data" / "w.bin").write_bytes(bytes(432))
        (tmp_path / "here" / "link").symlink_to(tmp_path / "secret")
        (tmp_path / "here" / "up").symlink_to(tmp_path)
        return tmp_path / "here"

    def model(self, folder: Path, location: str, nodes: list[Any] | None = None) -> str:
        file = write(
            folder / "net.onnx", nodes or [helper.make_node("Conv", ["x", "w"], ["y"])], {}
        )
        model = onnx.load(file, load_external_data=False)
        if nodes is None:
            model.graph.initializer.append(kept_apart("w", location))
        Path(file).write_bytes(model.SerializeToString())
        return file

    @pytest.mark.parametrize("location", ["weights.bin", "data/w.bin", "not there.bin"])
    def test_beside_the_file_they_count(self, location: str, folder: Path) -> None:
        assert analyzed(self.model(folder, location)).totals.parameters == 4 * 27

    @pytest.mark.parametrize(
        "location",
        ["../secret", "data/../../secret", "/etc/passwd", "link", "up/secret", "..", "a\\b", ""],
    )
    def test_elsewhere_they_are_refused(self, location: str, folder: Path) -> None:
        message = r"net\.onnx: the data of 'w' are in .*, outside the file's folder, where nothing"
        with pytest.raises(cnncalc.UsageError, match=message):
            import_network(self.model(folder, location))

    def test_an_absolute_path_is_refused_even_into_the_folder(self, folder: Path) -> None:
        with pytest.raises(cnncalc.UsageError, match="outside the file's folder"):
            import_network(self.model(folder, str(folder / "weights.bin")))

    @pytest.mark.parametrize("how", ["attribute", "inner graph"])
    def test_wherever_the_tensor_stands(self, how: str, folder: Path) -> None:
        if how == "attribute":
            node = helper.make_node("Constant", [], ["y"], value=kept_apart("w", "../secret"))
        else:
            node = inside_a_branch("../secret")
        with pytest.raises(cnncalc.UsageError, match=r"the data of 'w' are in '\.\./secret'"):
            import_network(self.model(folder, "", [node]))


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Expand", ["one", "large"], ["k"]),
        helper.make_node("Tile", ["one", "large"], ["k"]),
        helper.make_node("ConstantOfShape", ["large"], ["k"]),
    ],
    ids=lambda node: node.op_type,
)
def test_constants_that_would_fill_the_memory_are_not_computed(node: Any, tmp_path: Path) -> None:
    sizes = helper.make_tensor("large", TensorProto.INT64, [3], [2**20, 2**20, 2**10])
    one = helper.make_tensor("one", TensorProto.FLOAT, [1, 1, 1], [1])
    nodes = [
        helper.make_node("Constant", [], ["large"], value=sizes),
        helper.make_node("Constant", [], ["one"], value=one),
        node,
        helper.make_node("Relu", ["x"], ["y"]),
    ]
    assert import_network(write(tmp_path / "net.onnx", nodes, {})).spec["layers"] == ["relu"]


@pytest.mark.parametrize("note", ["(" * 10_000, "7", "[1, 2]", "__import__('os')", "{}"])
def test_notes_of_an_exporter_that_are_none(note: str, tmp_path: Path) -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    for key in ("pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"):
        node.metadata_props.add(key=key, value=note)
    assert import_network(write(tmp_path / "net.onnx", [node], {})).spec["layers"]

"""What an ONNX file says is what is read, or it is unknown: never another operator's layer."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import cnncalc
from cnncalc.importing.import_network import import_network

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
import numpy as np  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

node = helper.make_node


def weight(name: str, *shape: int, value: float | None = None) -> Any:
    random = np.random.default_rng(0).standard_normal(shape)
    numbers = random if value is None else np.full(shape, value)
    return numpy_helper.from_array(numbers.astype(np.float32), name)


def constant(name: str, array: Any) -> Any:
    tensor = numpy_helper.from_array(np.asarray(array, np.float32), name)
    return node("Constant", [], [name], value=tensor)


def write(nodes: list[Any], shape: list[int], *weights: Any, opset: int = 17) -> Path:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, "net.onnx")
    return Path("net.onnx")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def kinds(network: Any) -> list[str]:
    return [layer.kind for layer in cnncalc.analyze(network.spec).layers]


HALF_AND_BACK = [
    node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
    node("Cast", ["h"], ["f"], to=TensorProto.FLOAT),
    node("Relu", ["f"], ["y"]),
]
SCALES = numpy_helper.from_array(np.array([1, 1, 1.5, 1.5], np.float32), "s")
IMAGE = [1, 3, 8, 8]
UNKNOWN = {
    "a softmax below opset 13 sums over all axes from its own on": (
        [node("Softmax", ["x"], ["y"])],
        [1, 3, 4, 4],
        (),
        11,
    ),
    "so does its logarithm": ([node("LogSoftmax", ["x"], ["y"], axis=2)], [1, 3, 4, 4], (), 12),
    "numbers of SELU's own": ([node("Selu", ["x"], ["y"], alpha=2.0, gamma=3.0)], IMAGE, (), 17),
    "a cast that cuts": ([node("Cast", ["x"], ["y"], to=TensorProto.INT32)], IMAGE, (), 17),
    "a norm in training": (
        [node("BatchNormalization", ["x", *"abcd"], ["y", "m", "v"], training_mode=1)],
        IMAGE,
        tuple(weight(name, 3) for name in "abcd"),
        17,
    ),
    "an attribute that no reader knows": (
        [node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], something=1)],
        IMAGE,
        (),
        17,
    ),
    "an input that no reader knows": ([node("Relu", ["x", "a"], ["y"])], IMAGE, ("a",), 17),
    "dropout that drops": (
        [node("Dropout", ["x", "", "t"], ["y"])],
        IMAGE,
        (numpy_helper.from_array(np.array(True), "t"),),
        17,
    ),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_a_layer_does_not_say_makes_it_unknown(case: str) -> None:
    nodes, shape, given, opset = UNKNOWN[case]
    weights = [weight(each, 3) if isinstance(each, str) else each for each in given]
    try:
        network = import_network(str(write(nodes, shape, *weights, opset=opset)))
    except cnncalc.UsageError as error:
        # onnx itself refuses what its operators do not have.
        assert "cannot infer" in str(error)  # noqa: PT017
        return
    assert kinds(network) == ["unknown"]


@pytest.mark.parametrize(
    ("nodes", "opset", "found"),
    [
        ([node("Softmax", ["x"], ["y"], axis=3)], 11, ["softmax"]),
        ([node("Softmax", ["x"], ["y"], axis=1)], 13, ["softmax"]),
        ([node("Selu", ["x"], ["y"], alpha=1.6732632, gamma=1.0507010)], 17, ["selu"]),
        (HALF_AND_BACK, 17, ["relu"]),
    ],
)
def test_what_it_says_is_the_layer(nodes: list[Any], opset: int, found: list[str]) -> None:
    assert kinds(import_network(str(write(nodes, [1, 3, 4, 4], opset=opset)))) == found


@pytest.mark.parametrize(
    ("pool", "options"),
    [
        ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [1] * 4}),
        (
            "AveragePool",
            {"kernel_shape": [4, 4], "strides": [4, 4], "pads": [2] * 4, "count_include_pad": 1},
        ),
    ],
)
@pytest.mark.parametrize("opset", [11, 17])
def test_a_last_window_does_not_begin_behind_the_image(
    pool: str, options: dict[str, Any], opset: int
) -> None:
    """As PyTorch and onnxruntime have it; onnx's own inference says 4×4 below opset 22."""
    side = 5 if pool == "MaxPool" else 9
    behind = node("Conv", ["p", "w"], ["y"])
    nodes = [node(pool, ["x"], ["p"], ceil_mode=1, **options), behind]
    file = write(nodes, [1, 2, side, side], weight("w", 5, 2, 1, 1), opset=opset)
    summary = cnncalc.analyze(import_network(str(file)).spec)
    assert [layer.output_shape for layer in summary.layers] == [(2, 3, 3), (5, 3, 3)]
    assert (summary.totals.multiply_adds, summary.totals.unknown) == (90, ())
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = runtime.InferenceSession(str(file))
    (y,) = session.run(None, {"x": np.zeros((1, 2, side, side), np.float32)})
    assert y.shape == (1, 5, 3, 3)


def test_pools_that_round_up_behind_each_other() -> None:
    pool = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [1] * 4, "ceil_mode": 1}
    nodes = [
        node("MaxPool", ["x" if n == 0 else f"p{n}"], ["y" if n == 2 else f"p{n + 1}"], **pool)
        for n in range(3)
    ]
    summary = cnncalc.analyze(import_network(str(write(nodes, [1, 2, 17, 17]))).spec)
    assert [layer.output_shape[1] for layer in summary.layers] == [9, 5, 3]


def test_ones_and_zeros_of_a_norm_without_weights_are_no_parameters() -> None:
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"]),
        node("InstanceNormalization", ["c", "one", "zero"], ["y"]),
    ]
    ones, zeros = weight("one", 4, value=1), weight("zero", 4, value=0)
    file = write(nodes, IMAGE, weight("w", 4, 3, 1, 1), weight("b", 4), ones, zeros)
    assert cnncalc.analyze(import_network(str(file)).spec).totals.parameters == 16


def test_those_with_names_of_parameters_are() -> None:
    """A norm that was exported before it learnt anything."""
    nodes = [node("InstanceNormalization", ["x", "norm.weight", "norm.bias"], ["y"])]
    ones, zeros = weight("norm.weight", 3, value=1), weight("norm.bias", 3, value=0)
    file = write(nodes, IMAGE, ones, zeros)
    assert cnncalc.analyze(import_network(str(file)).spec).totals.parameters == 6


def test_an_upsampling_by_a_scale_keeps_it() -> None:
    resize = node("Resize", ["x", "", "s"], ["y"], mode="linear")
    network = import_network(str(write([resize], [1, 1, 13, 13], SCALES)))
    (layer,) = network.spec["layers"]
    assert layer["upsample"]["scale_factor"] == 1.5
    assert cnncalc.analyze(network.spec).output_shape == (1, 19, 19)
    whole = import_network(str(write([resize], [1, 1, 4, 4], SCALES)))
    assert whole.spec["layers"][0]["upsample"]["size"] == 6


def test_what_says_how_to_resize_is_no_parameter() -> None:
    cubic = node("Resize", ["x", "", "s"], ["y"], mode="cubic")
    network = import_network(str(write([cubic], [1, 1, 6, 6], SCALES)))
    assert network.notes == ()
    assert kinds(network) == ["unknown"]


def test_weights_in_constants_are_weights() -> None:
    """As Paddle writes all of its files."""
    nodes = [
        constant("w", np.ones((4, 3, 3, 3))),
        constant("b", np.ones(4)),
        node("Conv", ["x", "w", "b"], ["y"]),
    ]
    totals = cnncalc.analyze(import_network(str(write(nodes, IMAGE))).spec).totals
    assert (totals.parameters, totals.multiply_adds) == (112, 3_888)


def test_a_convolution_that_is_used_twice_is_counted_once() -> None:
    conv = {"pads": [1] * 4}
    nodes = [
        node("Conv", ["x", "w", "b"], ["a"], **conv),
        node("Relu", ["a"], ["r"]),
        node("Conv", ["r", "w", "b"], ["y"], **conv),
    ]
    file = write(nodes, IMAGE, weight("w", 3, 3, 3, 3), weight("b", 3))
    totals = cnncalc.analyze(import_network(str(file)).spec).totals
    assert (totals.parameters, totals.multiply_adds) == (84, 10_368)


def test_a_weight_like_a_vector_is_shared_and_its_owner_is_written_first() -> None:
    half = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("MaxPool", ["x"], ["p"], **half),
        node("Conv", ["p", "w"], ["c"]),
        node("MaxPool", ["a"], ["d"], **half),
        node("Add", ["c", "d"], ["y"]),
    ]
    file = write(nodes, IMAGE, weight("w", 1, 3, 1, 1))
    totals = cnncalc.analyze(import_network(str(file)).spec).totals
    assert (totals.parameters, totals.multiply_adds) == (3, 240)


def test_equal_vectors_that_a_file_keeps_once_are_counted_for_each() -> None:
    """PyTorch's exporter keeps equal initializers once: two norms are two, all the same."""
    nodes = [
        node("BatchNormalization", ["x", "w", "z", "z", "w"], ["a"]),
        node("BatchNormalization", ["a", "w", "z", "z", "w"], ["y"]),
    ]
    file = write(nodes, IMAGE, weight("w", 3), weight("z", 3))
    assert cnncalc.analyze(import_network(str(file)).spec).totals.parameters == 12


def refusal(file: Path) -> str:
    with pytest.raises(cnncalc.UsageError) as error:
        import_network(str(file))
    return str(error.value)


def test_a_node_that_takes_what_comes_later_is_named() -> None:
    nodes = [node("Add", ["x", "b"], ["a"], name="sum"), node("Relu", ["a"], ["b"])]
    nodes.append(node("Relu", ["b"], ["y"]))
    assert "net.onnx: " in refusal(write(nodes, IMAGE))
    first = [node("Relu", ["later"], ["y"], name="early"), node("Relu", ["x"], ["later"])]
    assert "later" in refusal(write(first, IMAGE))


def test_too_many_nodes_are_refused_early() -> None:
    names = ["x", *(f"t{n}" for n in range(25_000)), "y"]
    nodes = [node("Relu", [a], [b]) for a, b in pairwise(names)]
    message = "net.onnx: has 25,001 nodes; a network has at most 25,000"
    assert refusal(write(nodes, IMAGE)) == message


@pytest.mark.parametrize(
    ("scopes", "classes"),
    [("['', 'a', 5]", "[1, 2, 3]"), ("[", "{}"), ("{'a': 1}", "['b', None]"), ("1", "2")],
)
def test_odd_notes_of_modules_are_left_alone(scopes: str, classes: str) -> None:
    odd = node("Relu", ["x"], ["y"])
    for key, value in (("name_scopes", scopes), ("class_hierarchy", classes)):
        entry = odd.metadata_props.add()
        entry.key, entry.value = f"pkg.torch.onnx.{key}", value
    assert kinds(import_network(str(write([odd], IMAGE)))) == ["relu"]

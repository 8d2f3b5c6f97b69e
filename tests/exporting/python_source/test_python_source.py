"""`cnncalc export net.py`: source that runs without cnncalc and is the built module."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support import by_tier, conv, examples, network, representatives
from support.places import SPECS

import cnncalc
from cnncalc.exporting.python_source import write_source

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

RUN_ALONE = """
import json, runpy, sys
sys.modules["cnncalc"] = None  # importing it would fail
import torch
results = {}
for path in sys.argv[1:]:
    names = runpy.run_path(path, run_name="source")
    cls = [v for v in names.values() if isinstance(v, type) and v.__module__ == "source"][-1]
    shape = eval(cls.__doc__.partition(" -> ")[0].replace("N", "1", 1))
    torch.manual_seed(0)
    model = cls().eval()
    x = torch.randn(shape)
    with torch.no_grad():
        y = model(x)
    results[path] = [list(model.state_dict()), y.shape, y.flatten()[:50].tolist()]
print(json.dumps(results))
"""


def source_of(spec: Any) -> str:
    loaded = spec if isinstance(spec, cnncalc.Architecture) else cnncalc.load(spec)
    return write_source(loaded)


def module_of(source: str) -> Any:
    """An instance of the network's class, the last of the source."""
    names: dict[str, Any] = {"__name__": "source"}
    exec(compile(source, "source.py", "exec"), names)
    classes = [v for v in names.values() if isinstance(v, type) and v.__module__ == "source"]
    return classes[-1]()


def assert_same(spec: Any) -> str:
    """The source makes the built module: names, what trains, what is shared, and the output."""
    source = source_of(spec)
    ours, theirs = cnncalc.build(spec).eval(), module_of(source).eval()
    assert [*theirs.state_dict()] == [*ours.state_dict()]
    assert [(n, p.requires_grad) for n, p in theirs.named_parameters()] == [
        (n, p.requires_grad) for n, p in ours.named_parameters()
    ]
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, *cnncalc.analyze(spec).input_shape)
    with torch.no_grad():
        torch.testing.assert_close(theirs(x), ours(x), rtol=0, atol=0, equal_nan=True)
    return source


LARGE = 5 * 10**9
"""Multiply-adds beyond which a network is built, but not run."""
SMALL = (
    *("conv_example", "convnext_tiny", "googlenet", "lenet5_1998", "mobilenet_v2", "resnet18"),
    *("resnet18_cifar", "r3d_18", "squeezenet1_0", "unet_same", "vgg16", "vgg_formula"),
)


@pytest.mark.parametrize("name", by_tier(representatives(), *SMALL))
def test_the_source_of_a_bundled_network_has_the_same_weights(name: str) -> None:
    source = source_of(name)
    with torch.device("meta"):
        theirs, ours = module_of(source).state_dict(), cnncalc.build(name).state_dict()
    assert {n: t.shape for n, t in theirs.items()} == {n: t.shape for n, t in ours.items()}


SOME = ("conv_example", "lenet", "resnet18_cifar")


@pytest.mark.parametrize(
    "names",
    by_tier(
        [SOME, representatives()], "some", name=lambda names: "some" if names == SOME else "all"
    ),
)
def test_bundled_networks_run_alone(names: Sequence[str], tmp_path: Path) -> None:
    """In an interpreter that has no cnncalc: the same weights from the same seed, and output."""
    paths = {}
    for name in names:
        if cnncalc.analyze(name).totals.multiply_adds > LARGE:
            continue
        paths[name] = tmp_path / f"{name}.py"
        paths[name].write_text(source_of(name), encoding="utf-8")
    command = [sys.executable, "-I", "-c", RUN_ALONE, *map(str, paths.values())]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    results = json.loads(run.stdout)
    for name, path in paths.items():
        keys, shape, numbers = results[str(path)]
        torch.manual_seed(0)
        model = cnncalc.build(name).eval()
        x = torch.randn(1, *cnncalc.analyze(name).input_shape)
        with torch.no_grad():
            y = model(x)
        assert keys == [*model.state_dict()], name
        assert shape == [*y.shape], name
        assert numbers == pytest.approx(y.flatten()[:50].tolist(), rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize("file", sorted(SPECS.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_source_of_a_spec_makes_the_built_module(file: Path) -> None:
    architecture = cnncalc.load(file)
    try:
        small = cnncalc.analyze(architecture).totals.multiply_adds < 2e9
    except cnncalc.SpecError as error:
        assert "has no value" in str(error)  # noqa: PT017 - a family without a default network
        pytest.skip("a family whose parameters its own tests set")
    source = assert_same(architecture) if small else write_source(architecture)
    with torch.device("meta"):
        theirs, ours = module_of(source), cnncalc.build(architecture)
    assert [*theirs.state_dict()] == [*ours.state_dict()]


# --- what a reader sees ---------------------------------------------------------------------------


def test_blocks_are_classes_and_repeats_loops() -> None:
    source = source_of("resnet152")
    assert len(source.splitlines()) < 160
    bottleneck = "class Bottleneck(nn.Module):"
    assert source.count("class ") - source.count("classes") >= 5
    assert bottleneck in source
    assert "    def __init__(self, in_channels: int, width: int, stride: int = 1" in source.replace(
        "(\n        self", "(self"
    )
    assert "conv_bn3=ConvBn(width, 4 * width)," in source
    assert "for i in range(2, depth + 1):" in source
    assert "self.stage3 = Stage(512, 256, depth=36)" in source


def test_a_network_of_the_lectures() -> None:
    source = source_of("lenet")
    assert "self.conv1 = nn.Conv2d(1, 32, kernel_size=5)" in source
    assert "    def forward(self, x: Tensor) -> Tensor:\n        x = self.conv1(x)\n" in source
    assert "Chain" not in source  # nothing that is not used
    assert "import OrderedDict" not in source


def test_parameters_of_a_block_are_terms_of_what_the_file_gives() -> None:
    source = source_of("googlenet")
    assert "branch1=Chain(conv_relu1=ConvRelu(in_channels, widths[0]))," in source
    assert "padding=kernel_size // 2," in source
    assert "self.inception3a = Inception(192, (64, 96, 128, 16, 32, 32))" in source


def test_what_grows_from_turn_to_turn_is_a_loop() -> None:
    dense = {"concat": [[], [conv(4, 3, padding=1)]]}
    source = assert_same(network([3, 6, 6], {"repeat": 5, "layers": [dense]}))
    assert "for i in range(1, 6):" in source
    made = "nn.Conv2d(3 + 4 * (i - 1), 4, kernel_size=3, padding=1)"
    assert made in " ".join(source.split()).replace("( ", "(").replace(" )", ")")


def test_what_flows_past_a_layer_has_a_name() -> None:
    layers = [
        {**conv(4, 3, padding=1), "name": "stem"},
        conv(4, 1),
        "relu",
        {"add": {}, "inputs": ["stem", "relu1"]},
        {"concat": {}, "inputs": ["stem", "add1", "input"]},
        conv(2, 1),
    ]
    source = assert_same(network([3, 5, 5], *layers))
    assert "x = stem + relu1" in source or "add1 = stem + " in source
    assert "torch.cat([" in source


def test_shared_and_frozen_weights() -> None:
    layers = [
        {"layers": [conv(4, 3, padding=1), "batch_norm"], "frozen": True, "name": "stem"},
        conv(4, 3, padding=1),
        {**conv(4, 3, padding=1), "shares": "conv1"},
        {**conv(2, 1), "frozen": True},
    ]
    spec = network([3, 5, 5], *layers)
    source = assert_same(spec)
    assert "self.stem.requires_grad_(False)" in source
    assert "self.conv2.weight = self.conv1.weight" in source
    model = module_of(source)
    assert model.conv2.weight is model.conv1.weight


@pytest.mark.parametrize(
    "init",
    [
        {"weights": "kaiming", "mode": "fan_out", "zero_init_residual": True},
        {"weights": "xavier", "distribution": "uniform"},
        {"weights": "trunc_normal", "std": 0.5},
        {"zero_init_residual": True},
    ],
)
def test_weights_start_as_the_file_says(init: dict[str, Any]) -> None:
    body = [conv(4, 3, padding=1, bias=False), "batch_norm"]
    spec = network([4, 6, 6], conv(4, 1), {"residual": body}, "flatten", {"linear": 3}, init=init)
    source = assert_same(spec)
    states = []
    for make in (lambda: module_of(source), lambda: cnncalc.build(spec)):
        torch.manual_seed(3)
        states.append(make().state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[1])
    zeroed = not states[0]["residual1.body.batch_norm1.weight"].any()
    assert zeroed == init.get("zero_init_residual", False)


def test_it_is_formatted_and_passes_the_linter(tmp_path: Path) -> None:
    files = []
    for name in ("lenet5_1998", "googlenet", "resnet50", "mobilenet_v1"):
        files.append(tmp_path / f"{Path(name).stem}.py")
        files[-1].write_text(source_of(name), encoding="utf-8")
    for command in (["format", "--check", "--isolated"], ["check", "--isolated"]):
        run = [sys.executable, "-m", "ruff", *command, "--no-cache", *map(str, files)]
        assert subprocess.run(run, capture_output=True, check=False).returncode == 0, command


# --- strange words: a file is data ----------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        '"""\nimport os; os.abort()\n"""',
        "\\",
        "None",
        "nn",
        "Tensor",
        "Chain",
        "3d",
        "ネット",
        "a'b\"c",
        "x\ny",
    ],
)
def test_a_strange_name_is_a_harmless_one(name: str) -> None:
    spec = network([3, 5, 5], {"residual": [conv(3, 1)]}, name=name, source=name)
    assert_same(spec)


def test_strange_names_of_blocks_and_parameters() -> None:
    block = {"parameters": dict.fromkeys(("self", "nn", "i", "_x", "x", "print"), 3)}
    block["layers"] = [{"repeat": "=i", **conv("=nn", "=x", padding=1)}, conv("=self", "=print")]
    blocks = dict.fromkeys(("chain", "tensor", "блок", "Module", "true"), block)
    calls = [{name: {"self": k, "nn": k + 1, "i": 4 + k % 2}} for k, name in enumerate(blocks, 2)]
    assert_same(network([3, 15, 15], *calls, blocks=blocks))


def test_names_that_a_loop_cannot_count() -> None:
    items = [{"repeat": 12, "name": "conv9", **conv(3, 1)}, {"repeat": 3, "layers": ["relu"]}]
    assert_same(network([3, 5], *items))


def test_deep_nesting() -> None:
    items: list[Any] = [conv(3, 1)]
    for _ in range(30):
        items = [{"residual": items}]
    source = assert_same(network([3, 2, 2], *items))
    assert source.count("Sum(") > 30


# --- random networks ------------------------------------------------------------------------------

CHANNELS = 4


@st.composite
def items(draw: DrawFn, depth: int, blocks: tuple[str, ...]) -> list[Any]:
    """Items that keep the shape (4, 6)."""
    return [draw(one_item(depth, blocks)) for _ in range(draw(st.integers(0 if depth else 1, 4)))]


@cache
def one_item(depth: int, blocks: tuple[str, ...]) -> SearchStrategy[Any]:
    layers = st.sampled_from(
        [
            "relu",
            "batch_norm",
            conv(CHANNELS, 3, padding=1),
            conv(CHANNELS, 1, bias=False),
            conv("=in_channels", 1, groups="=2 if index else 1"),
        ]
    ).map(lambda item: {item: None} if isinstance(item, str) else dict(item))
    choices = [layers, layers]
    if blocks:
        numbers = st.fixed_dictionaries(
            {}, optional={"kernel": st.sampled_from([1, 3, 5]), "times": st.integers(0, 3)}
        )
        choices.append(st.tuples(st.sampled_from(blocks), numbers).map(lambda p: {p[0]: p[1]}))
    if depth < 3:
        inner = items(depth + 1, blocks)
        choices += [
            inner.map(lambda branch: {"residual": branch}),
            st.tuples(inner, inner).map(lambda two: {"add": [*two]}),
            st.tuples(inner, inner).map(lambda two: {"multiply": [*two]}),
            inner.filter(bool).map(lambda group: {"layers": group}),
        ]
    names = st.sampled_from(["conv1", "relu1", "input", "residual1", "group1"])
    option = st.one_of(
        st.fixed_dictionaries({"repeat": st.integers(0, 4)}),
        st.fixed_dictionaries({"repeat": st.integers(2, 4), "if": st.just("=index != 1")}),
        st.fixed_dictionaries({"frozen": st.booleans()}),
        st.fixed_dictionaries({"inputs": names}),
        st.fixed_dictionaries({"shares": st.sampled_from(["conv1", "batch_norm1"])}),
    )
    options = st.one_of(*[st.just({})] * 6, option)
    return st.tuples(st.one_of(choices), options).map(lambda two: two[0] | two[1])


@st.composite
def specs(draw: DrawFn) -> dict[str, Any]:
    blocks: dict[str, Any] = {}
    for name in ("cell", "stage"):
        conv_of_block = {"repeat": "=times", **conv(CHANNELS, "=kernel", padding="=kernel // 2")}
        body = [conv_of_block, *draw(items(1, tuple(blocks)))]
        blocks[name] = {"parameters": {"kernel": 3, "times": 1}, "layers": body}
    layers = draw(items(0, tuple(blocks)))
    join = draw(st.sampled_from([[], [{"concat": [["identity"], []]}, conv(CHANNELS, 1)]]))
    return network([CHANNELS, 6], *layers, *join, *layers, blocks=blocks)


@settings(max_examples=examples(32), suppress_health_check=[*HealthCheck])
@given(specs())
def test_random_networks(spec: dict[str, Any]) -> None:
    try:
        count = len(cnncalc.analyze(spec).layers)
    except cnncalc.SpecError:
        assume(False)
    assume(count < 150)
    assert_same(spec)

"""What a user does with any module works on a built one: copy, pickle, compile, export, train …"""

from __future__ import annotations

import copy
import io
import pickle
import re
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from support import by_tier, conv, network
from support.processes import environment

import cnncalc
from cnncalc.layers.merge import Merge
from cnncalc.network.expansion import build_graph

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SQUEEZE = {"multiply": [[], ["global_avg_pool", conv(6, 1), "sigmoid"]]}
SAME = {"kernel_size": 3, "stride": 2, "padding": "same"}
SPECS: dict[str, Any] = {
    "branches": network(
        [3, 17, 17],
        conv(6, 3, stride=2, padding="same", bias=False),
        {"batch_norm": {}, "name": "norm"},
        {"concat": [[], [conv(3, 3, padding=1), "relu"], [{"max_pool": {**SAME, "stride": 1}}]]},
        {"avg_pool": {**SAME, "count_include_pad": False}},
        {"concat": {}, "inputs": ["avg_pool1", "avg_pool1"]},
        conv(6, 1),
        SQUEEZE,
        {"residual": [{"layer_norm": {}}, {"layer_scale": {}}, {"stochastic_depth": 0.1}]},
        {"depthwise_conv": {"kernel_size": 3, "padding": "same"}},
    ),
    "moved numbers": network(
        [4, 6, 6],
        {"crop": 1},
        {"slice": {"start": 1}},
        {"select": [0, 2, 1, 1]},
        {"channel_shuffle": 2},
        {"permute": {"dims": [0, 2, 3, 1]}},
        {"reshape": {"shape": [4, 4, 4]}},
        "channel_affine",
        "flatten",
        {"linear": 8},
        {"rbf": 3},
    ),
    "signal": network(
        [2, 33],
        {"conv": {"out_channels": 6, **SAME, "dilation": 2}},
        {"residual": {"body": [conv(4, 3, padding=1)], "shortcut": [conv(4, 1)]}},
        {"upsample": 2.0},
        {"conv_transpose": {"out_channels": 2, "kernel_size": 3, "stride": 2}},
        "global_max_pool",
    ),
    "volume": network(
        [2, 7, 6, 5],
        {"conv": {"out_channels": 4, **SAME}},
        {"max_pool": {"kernel_size": 2, "ceil_mode": True}},
        {"add": [[{"instance_norm": {"track_running_stats": True}}], ["gelu"]]},
        {"adaptive_avg_pool": [1, 2, 2]},
        "flatten",
        {"linear": 3},
        "log_softmax",
    ),
}
NETWORKS = {name: cnncalc.load(spec) for name, spec in SPECS.items()}
NETWORKS["resnet18"] = cnncalc.load("resnet18", input=[3, 40, 40])
NAMES = [*NETWORKS]


def built(name: str) -> tuple[Any, Any]:
    """A network in evaluation, and two samples."""
    torch.manual_seed(0)
    model = cnncalc.build(NETWORKS[name]).eval()
    return model, torch.randn(2, *cnncalc.analyze(NETWORKS[name]).input_shape)


# --- copies ---------------------------------------------------------------------------------------


def calls(model: Any) -> list[Any]:
    """What a module calls, in order. Pickling gives the tensors between other names."""
    return [(node.op, node.target) for node in model.graph.nodes]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_copied_and_pickled(name: str) -> None:
    model, x = built(name)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(x), model(x))
        assert twin.state_dict().keys() == model.state_dict().keys()
        assert calls(twin) == calls(model)
        with torch.no_grad():
            for tensor in twin.state_dict().values():
                tensor.zero_()
        assert not torch.equal(twin(x), model(x)), "the twin is no copy"


READ = """
import sys
import torch
model, x, y = torch.load(sys.argv[1], weights_only=False)
assert torch.equal(model(x), y)
assert "cnncalc.pytorch.compiler" not in sys.modules
print(*model.state_dict())
"""


@pytest.mark.exhaustive
def test_a_fresh_interpreter_reads_its_pickle(tmp_path: Path) -> None:
    model, x = built("branches")
    file = tmp_path / "model.pt"
    torch.save((model, x, model(x)), file)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(file)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [*model.state_dict()]


def test_its_state_loads_with_weights_only() -> None:
    model, x = built("resnet18")
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    twin = cnncalc.build(NETWORKS["resnet18"]).eval()
    twin.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(twin(x), model(x))


# --- compilers ------------------------------------------------------------------------------------


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("name", by_tier(["branches", "moved numbers"], "moved numbers"))
def test_it_compiles_without_a_graph_break(name: str) -> None:
    model, x = built(name)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), model(x))
    weights = [p for p in model.parameters() if p.requires_grad]
    expected = torch.autograd.grad(model(x).sum(), weights)
    torch.testing.assert_close(torch.autograd.grad(compiled(x).sum(), weights), expected)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_exported_for_any_batch(name: str) -> None:
    model, x = built(name)
    batch = {"x": {0: torch.export.Dim("batch")}}
    program = torch.export.export(model, (x,), dynamic_shapes=batch)
    for samples in (1, 5):
        x = torch.randn(samples, *x.shape[1:])
        torch.testing.assert_close(program.module()(x), model(x))


# --- training -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_it_trains(name: str) -> None:
    model, x = built(name)
    model.train()(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_it_trains_in_parallel(tmp_path: Path) -> None:
    model, x = built("signal")
    distributed = torch.distributed
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    try:
        parallel = torch.nn.parallel.DistributedDataParallel(copy.deepcopy(model))
        parallel(x).square().sum().backward()
    finally:
        distributed.destroy_process_group()
    model(x).square().sum().backward()
    gradients = {f"module.{name}": p.grad for name, p in model.named_parameters()}
    torch.testing.assert_close({n: p.grad for n, p in parallel.named_parameters()}, gradients)


# --- memory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet18", "branches"])
def test_channels_last_is_kept(name: str) -> None:
    model, x = built(name)
    expected = model(x)
    lost = []

    def look(module: Any, _: Any, y: Any) -> None:
        if y.dim() == 4 and not y.is_contiguous(memory_format=torch.channels_last):
            lost.append(module)

    for module in model.modules():
        module.register_forward_hook(look)
    model.to(memory_format=torch.channels_last)
    y = model(x.contiguous(memory_format=torch.channels_last))
    assert lost == []
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)


def names_alive(model: Any, x: Any) -> dict[str, set[str]]:
    """Which modules' outputs still exist when each module runs."""
    outputs: dict[str, weakref.ref[Any]] = {}
    alive: dict[str, set[str]] = {}
    for name, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_pre_hook(
                lambda _, __, name=name: alive.update(
                    {name: {other for other, y in outputs.items() if y() is not None}}
                )
            )
            module.register_forward_hook(
                lambda _, __, y, name=name: outputs.update({name: weakref.ref(y)})
            )
    model(x)
    return alive


@pytest.mark.parametrize("name", NAMES)
def test_a_tensor_is_freed_after_its_last_use(name: str) -> None:
    graph = build_graph(NETWORKS[name])
    model, x = built(name)
    with torch.inference_mode():  # without it a view keeps the tensor that it shows a part of
        alive = names_alive(model, x)
    last_use = {index: node.number for node in graph.nodes for index in node.inputs}
    layers = [node for node in graph.nodes if not isinstance(node.layer, Merge)]
    for node in layers:
        made = (other for other in layers if other.number < node.number)
        needed = {other.name for other in made if last_use[other.number] >= node.number}
        assert alive[node.name] == needed


def kept_for_the_gradient(model: Any, x: Any) -> int:
    """Bytes that a forward run holds on to, weights aside."""
    weights = {tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()}
    kept: dict[int, int] = {}

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = model(x)
    assert y.requires_grad == bool(kept)
    return sum(kept.values())


def test_no_more_is_kept_for_the_gradient_than_need_be() -> None:
    by_hand = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3, bias=False),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(8 * 9 * 9, 10),
    )
    layers = [conv(8, 3, bias=False), "batch_norm", "relu", {"max_pool": 2}, "flatten"]
    layers += [{"linear": 10}]
    x = torch.randn(4, 1, 20, 20)
    model = cnncalc.build(network([1, 20, 20], *layers))
    assert kept_for_the_gradient(model, x) == kept_for_the_gradient(by_hand, x) > 0
    frozen = [{"layers": layers[:4], "frozen": True}, *layers[4:]]
    head_only = cnncalc.build(network([1, 20, 20], *frozen))
    assert kept_for_the_gradient(head_only, x) == 4 * 8 * 9 * 9 * 4
    whole = cnncalc.build(network([1, 20, 20], {"layers": layers, "frozen": True}))
    assert kept_for_the_gradient(whole, x) == 0


# --- reading --------------------------------------------------------------------------------------


def test_its_repr_reads_as_the_file_does() -> None:
    text = repr(cnncalc.build("resnet18"))
    lines = [line.strip() for line in text.splitlines()]
    assert lines[:3] == [
        "resnet18(",
        "(conv_bn1): Module(",
        "(conv1): Conv2d(3, 64, kernel_size=(7, 7), stride=(2, 2), padding=(3, 3), bias=False)",
    ]
    scopes = [line for line in lines if re.match(r"\(stage2\)|\(basic2\)|\(residual1\)", line)]
    assert len(scopes) == 1 + 4 + 8
    assert "(linear1): Linear(in_features=512, out_features=1000, bias=True)" in lines


def test_its_code_is_a_line_for_each_layer_in_order() -> None:
    model = cnncalc.build("lenet")
    assert type(model).__name__ == "LeNet"
    signature, *body, result = [line.strip() for line in model.code.strip().splitlines()]
    assert signature == "def forward(self, x : torch.Tensor):"
    calls = [re.fullmatch(r"(\w+) = self\.(\w+)\((\w+)\);  \3 = None", line) for line in body]
    names = [row.name for row in cnncalc.analyze("lenet").layers]
    assert [match and match[2] for match in calls] == names
    assert [match and match[3] for match in calls] == ["x", *names[:-1]]
    assert result == f"return {names[-1]}"


def test_its_code_names_scopes_and_joins() -> None:
    code = cnncalc.build("resnet18").code
    assert "= self.stage2.basic1.residual1.shortcut.conv_bn1.conv1(" in code
    assert len(re.findall(r" = \w+ \+ \w+;", code)) == 8
    assert "torch.cat([" in cnncalc.build("googlenet").code


# --- a GPU ----------------------------------------------------------------------------------------


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that CUDA can use")
@pytest.mark.parametrize("name", NAMES)
def test_it_is_built_on_a_gpu(name: str) -> None:
    model, x = built(name)
    with torch.device("cuda"):
        twin = cnncalc.build(NETWORKS[name]).eval()
    tensors = [*twin.parameters(), *twin.buffers()]
    assert {tensor.device.type for tensor in tensors} == {"cuda"}
    twin.load_state_dict(model.state_dict())
    torch.testing.assert_close(twin(x.cuda()).cpu(), model(x), rtol=1e-4, atol=1e-4)

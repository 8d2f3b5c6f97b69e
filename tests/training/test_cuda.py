"""Runs on a GPU. Where there is none these are skipped: the same code runs on the CPU elsewhere."""

from __future__ import annotations

import gc
import json
from typing import TYPE_CHECKING, Any

import pytest
from support import conv, network

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from cnncalc.training import train as api  # noqa: E402
from cnncalc.training.gpu_peaks import peak_multiply_adds  # noqa: E402
from cnncalc.training.run.checkpoints import read_checkpoint  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that CUDA can use")

LAYERS = [conv(16, 3, bias=False), "batch_norm", "relu", {"max_pool": 2}, "flatten"]
NET = network([1, 8, 8], *LAYERS, {"linear": 10}, name="tiny")
RECIPE = {"epochs": 3, "batch_size": 100, "augment": {"crop": 1}}


def train(folder: Path, settings: Any = None, spec: Any = NET, **options: Any) -> api.Run:
    settings = {**RECIPE, **(settings or {})}
    return api.train(spec, output=folder, settings=settings, device="cuda", **options)


def weights(run: api.Run) -> dict[str, Any]:
    return dict(read_checkpoint(run.folder / "checkpoints" / "last.pt")["model"])


def summary(run: api.Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.folder / "summary.json").read_text())
    return found


@pytest.fixture
def exact() -> Iterator[None]:
    """float32 without TF32, so that only the order of sums differs."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def test_digits_are_learnt_in_bfloat16(tmp_path: Path) -> None:
    run = train(tmp_path / "run", {"epochs": 15})
    assert float(run.metrics[-1]["test_accuracy"]) > 0.9
    found = summary(run)
    assert found["device"].startswith("cuda")
    if torch.cuda.get_device_capability() >= (8, 0):
        assert found["precision"] == "bfloat16"
    peak = peak_multiply_adds(torch.cuda.get_device_name(), found["precision"])
    assert ("share_of_peak" in found) == (peak is not None)
    assert found["cuda_graph"] is True


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("extra", [[], [{"dropout": 0.3}]], ids=["plain", "dropout"])
def test_a_cuda_graph_computes_what_its_kernels_do(extra: list[Any], tmp_path: Path) -> None:
    spec = network([1, 8, 8], *LAYERS, *extra, {"linear": 10}, name="tiny")
    settings = {"precision": "float32", "clip": 1.0, "ema": 0.9}
    options = {"settings": settings, "spec": spec}
    replayed = train(tmp_path / "replayed", cuda_graph=True, **options)
    eager = train(tmp_path / "eager", cuda_graph=False, **options)
    assert (summary(replayed)["cuda_graph"], summary(eager)["cuda_graph"]) == (True, False)
    theirs = weights(eager)
    for name, value in weights(replayed).items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=1e-4)
    for mine, other in zip(replayed.metrics, eager.metrics, strict=True):
        for column in ("train_loss", "train_accuracy", "test_loss"):
            assert float(mine[column]) == pytest.approx(float(other[column]), abs=5e-3)


@pytest.mark.parametrize("spec", ["lenet", "lenet5_wide", "vgg", "resnet18_cifar", "mobilenet_v2"])
def test_bundled_networks_are_recorded(spec: str, tmp_path: Path) -> None:
    parameters = {"classes": 10} if spec == "mobilenet_v2" else {}
    network = cnncalc.load(spec, parameters=parameters)
    shape = cnncalc.analyze(network).input_shape
    data = torch.randint(256, (64, *shape), dtype=torch.uint8), torch.arange(64) % 10
    settings = {"epochs": 1, "batch_size": 8, "augment": {}, "optimizer.lr": 1e-3}
    settings |= {"schedule": "constant"}
    run = api.train(
        network,
        data=data,
        output=tmp_path / "run",
        settings=settings,
        device="cuda",
        cuda_graph=True,
    )
    assert summary(run)["cuda_graph"] is True
    assert all(value.isfinite().all() for value in weights(run).values())


def test_a_deterministic_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", deterministic=True)
    parts = train(tmp_path / "parts", deterministic=True, callback=lambda _: False)
    again = api.resume(parts.folder)
    assert summary(again)["cuda_graph"] is False
    theirs = weights(whole)
    assert all(torch.equal(value, theirs[name]) for name, value in weights(again).items())


def test_memory_that_runs_out(tmp_path: Path) -> None:
    wide = network([1, 8, 8], conv(4096, 3, padding=1), "relu", "flatten", {"linear": 10})
    gc.collect()
    torch.cuda.empty_cache()
    whole = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(min(1.5 * 2**30 / whole, 1.0))
    try:
        with pytest.raises(cnncalc.CnncalcError) as caught:
            train(tmp_path / "run", {"batch_size": 1400, "augment": {}}, wide)
        message = str(caught.value)
        assert "out of memory on cuda" in message
        size = int(message.partition("--batch-size ")[2].partition(",")[0])
        torch.cuda.empty_cache()
        run = train(tmp_path / "fits", {"batch_size": size, "epochs": 1, "augment": {}}, wide)
        assert run.finished
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_a_run_is_evaluated_and_goes_on_elsewhere(tmp_path: Path) -> None:
    run = train(tmp_path / "run", {"precision": "float32"})
    there, here = (cnncalc.evaluate(run.folder, device=device) for device in ("cuda", "cpu"))
    assert there.loss == pytest.approx(here.loss, abs=5e-3)
    assert api.resume(run.folder, device="cpu", settings={"epochs": 4}).finished


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two GPUs")
def test_the_second_gpu(tmp_path: Path) -> None:
    run = api.train(NET, output=tmp_path / "run", settings=RECIPE, device="cuda:1")
    assert summary(run)["device"] == "cuda:1"
    assert summary(run)["cuda_graph"] is True

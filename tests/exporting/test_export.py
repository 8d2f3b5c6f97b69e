"""`cnncalc export`: what is written runs elsewhere and says what the module says."""

from __future__ import annotations

import argparse
import os
import re
import signal
import stat
import subprocess
import sys
import time
import zipfile
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from support import by_tier, conv, network
from support.processes import SMALL, environment, invoke
from support.users import as_a_user_with_limits

import cnncalc
from cnncalc.errors import OutputError

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")

from cnncalc.exporting import export as module  # noqa: E402
from cnncalc.exporting import opset, programs, to_onnx  # noqa: E402
from cnncalc.pytorch.weights import read_state  # noqa: E402

TINY = network([3, 6, 6], conv(4, 3), "relu", init={"seed": 1})


def compare(spec: Any, file: Path) -> None:
    """The file in onnxruntime and the module agree; the file passes ONNX's checker."""
    onnx.checker.check_model(str(file), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    assert [port.name for port in session.get_inputs()] == ["input"]
    assert [port.name for port in session.get_outputs()] == ["output"]
    assert session.get_inputs()[0].shape[0] == "batch"
    model = cnncalc.build(spec).eval()
    shape = cnncalc.analyze(spec).input_shape
    for batch in (1, 3):
        x = torch.randn(batch, *shape, generator=torch.Generator().manual_seed(batch))
        (y,) = session.run(None, {"input": x.numpy()})
        with torch.no_grad():
            expected = model(x)
        atol = 1e-4 * expected.abs().max().item()
        torch.testing.assert_close(torch.from_numpy(y), expected, rtol=1e-4, atol=atol)


def seeded(name: str) -> Any:
    """A bundled network whose weights are the same in every build, and whose outputs not tiny."""
    return cnncalc.load(name).model_copy(update={"init": {"weights": "kaiming", "seed": 0}})


class TestOnnx:
    @pytest.mark.parametrize(
        "name", by_tier(["lenet", "lenet5_1998", "googlenet", "resnet18"], "lenet")
    )
    def test_bundled_networks_agree_in_onnxruntime(self, name: str, tmp_path: Path) -> None:
        spec = seeded(name)
        cnncalc.export(spec, tmp_path / "net.onnx")
        compare(spec, tmp_path / "net.onnx")
        assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]

    @pytest.mark.exhaustive
    @pytest.mark.parametrize("axes", [1, 2, 3])
    def test_tricky_layers_agree_in_onnxruntime(self, axes: int, tmp_path: Path) -> None:
        """One network of what ONNX has other words for."""
        same = {"kernel_size": 3, "stride": 2, "padding": "same"}
        layers = [
            conv(8, 3, padding=1, padding_mode="circular"),
            conv(8, 4, stride=2, padding="same", padding_mode="replicate"),
            {"channel_shuffle": 4},
            {"instance_norm": {"affine": True}},
            {"residual": ["prelu", {"group_norm": 2}, {"stochastic_depth": 0.2}]},
            {"max_pool": {**same, "stride": 1}},
            {"avg_pool": {**same, "stride": 1, "count_include_pad": False}},
            {"upsample": {"scale_factor": 2, "mode": "linear"}},
            {"layer_norm": "channels"},
            "mish",
            {"conv_transpose": {"out_channels": 6, "kernel_size": 3, "stride": 2, "groups": 2}},
            {"concat": [[{"select": [0, -1]}], [{"slice": {"start": 2}}], ["channel_affine"]]},
            {"multiply": [[], ["global_avg_pool", "sigmoid"], [{"layer_scale": {"init": 0.5}}]]},
            {"local_response_norm": 3},
            {"pad": {"padding": 1, "mode": "reflect"}},
            {"crop": 2},
            {"avg_pool": {"kernel_size": 2, "ceil_mode": True}},
            {"adaptive_max_pool": 5},
            {"adaptive_avg_pool": 3},
            {"dropout": 0.5},
            {"flatten": {"start_dim": 2}},
            {"permute": [0, 2, 1]},
            {"linear": 4},
            {"reshape": [-1]},
            {"rbf": 5},
            "softmax",
        ]
        spec = network([3] + [7] * axes, *layers, init={"seed": 2})
        cnncalc.export(spec, tmp_path / "net.onnx")
        compare(spec, tmp_path / "net.onnx")

    @pytest.mark.exhaustive
    def test_pools_of_every_rounding_and_divisor(self, tmp_path: Path) -> None:
        """PyTorch's exporter alone leaves divisors out, and rounds up where PyTorch does not."""
        up = {"ceil_mode": True}
        kinds = [
            ("avg_pool", {"divisor_override": 3}),
            ("avg_pool", up),
            ("avg_pool", {**up, "count_include_pad": False}),
            ("max_pool", up),
        ]
        pools = [
            {kind: {"kernel_size": kernel, "stride": stride, "padding": padding, **options}}
            for kernel, stride, padding, (kind, options) in product((2, 3), (2, 3), (0, 1), kinds)
        ]
        same = {"kernel_size": 3, "padding": "same", "stride": 2, "divisor_override": 5}
        branches = [[pool, "flatten"] for pool in [*pools, {"avg_pool": same}]]
        spec = network([2, 9, 8], {"concat": branches})
        cnncalc.export(spec, tmp_path / "net.onnx", opset=22)
        compare(spec, tmp_path / "net.onnx")

    def test_windows_that_overhang_have_no_divisor(self, tmp_path: Path) -> None:
        pool = {"kernel_size": 2, "ceil_mode": True, "divisor_override": 3}
        message = "ONNX has no divisor for windows that overhang: avg_pool1: AvgPool2d"
        with pytest.raises(OutputError, match=message):
            cnncalc.export(network([3, 9, 9], {"avg_pool": pool}), tmp_path / "net.onnx")

    def test_what_the_checker_refuses_is_one_message(self, tmp_path: Path) -> None:
        """Of two axes, one rounds up; ONNX rounds the other up as well, until opset 22."""
        pool = {"kernel_size": [2, 3], "padding": 1, "ceil_mode": True}
        spec = network([2, 9, 6], {"max_pool": pool})
        message = r"^ONNX's checker refuses the network in opset 20: .*; try opset 23, or \.pt2$"
        with pytest.raises(OutputError, match=message):
            cnncalc.export(spec, tmp_path / "net.onnx")
        assert [*tmp_path.iterdir()] == []

    def test_what_onnx_lacks_is_named_by_its_layer(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(programs, "prepare", lambda *_: None)
        layers = ["relu", {"name": "stem", "layers": ["relu", {"adaptive_max_pool": 4}]}]
        with pytest.raises(OutputError) as caught:
            cnncalc.export(network([3, 9, 9], *layers), tmp_path / "net.onnx")
        assert str(caught.value) == (
            "ONNX has no operators for stem.adaptive_max_pool1: AdaptiveMaxPool2d(output_size=4)"
        )
        assert [*tmp_path.iterdir()] == []

    @pytest.mark.parametrize("opset", by_tier([18, 23]))
    def test_the_opset_is_the_one_asked_for(self, opset: int, tmp_path: Path) -> None:
        file = tmp_path / "net.onnx"
        cnncalc.export(TINY, file, opset=opset)
        assert [entry.version for entry in onnx.load(file).opset_import] == [opset]
        compare(TINY, file)

    @pytest.mark.exhaustive
    def test_an_opset_that_is_not_reached_is_an_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(to_onnx, "OPSETS", range(7, 24))  # PyTorch warns, and writes 18
        with pytest.raises(OutputError, match="cannot be written with opset 7, only 18"):
            cnncalc.export(TINY, tmp_path / "net.onnx", opset=7)
        assert [*tmp_path.iterdir()] == []

    @pytest.mark.exhaustive
    def test_large_weights_lie_beside_under_a_name_that_holds(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save = torch.onnx.ONNXProgram.save

        def as_if_over_2_gb(program: Any, file: Any) -> None:
            save(program, file, external_data=True)

        monkeypatch.setattr(torch.onnx.ONNXProgram, "save", as_if_over_2_gb)
        spec = network([64], {"linear": 64}, init={"seed": 1})
        cnncalc.export(spec, tmp_path / "net.onnx")
        assert {file.name for file in tmp_path.iterdir()} == {"net.onnx", "net.onnx.data"}
        compare(spec, tmp_path / "net.onnx")

    @pytest.mark.exhaustive
    def test_nothing_of_this_machine_is_in_it(self, tmp_path: Path) -> None:
        cnncalc.export(TINY, tmp_path / "net.onnx")
        data = (tmp_path / "net.onnx").read_bytes()
        assert b"conv1.weight" in data
        assert b".py" not in data

    def test_missing_packages_are_named_with_the_way_out(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "onnx", None)
        monkeypatch.setitem(sys.modules, "onnxscript", None)
        message = "ONNX needs onnx and onnxscript: pip install onnx onnxscript"
        with pytest.raises(cnncalc.UsageError, match=message):
            cnncalc.export(TINY, tmp_path / "net.onnx")
        assert [*tmp_path.iterdir()] == []


class TestProgram:
    def test_it_is_loaded_and_runs_with_any_batch(self, tmp_path: Path) -> None:
        spec = seeded("lenet5_1998")
        cnncalc.export(spec, tmp_path / "net.pt2")
        program = torch.export.load(tmp_path / "net.pt2").module()
        model = cnncalc.build(spec).eval()
        for batch in (1, 2, 5):
            x = torch.randn(batch, *cnncalc.analyze(spec).input_shape)
            with torch.no_grad():
                torch.testing.assert_close(program(x), model(x))
        assert program.state_dict().keys() == model.state_dict().keys()

    def test_nothing_of_this_machine_is_in_it(self, tmp_path: Path) -> None:
        cnncalc.export(TINY, tmp_path / "net.pt2")
        with zipfile.ZipFile(tmp_path / "net.pt2") as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("model.json"))
            assert ".py" not in archive.read(name).decode()

    def test_reshapes_keep_the_batch(self, tmp_path: Path) -> None:
        spec = network([2, 4, 4], {"reshape": [4, 8]}, "flatten")
        cnncalc.export(spec, tmp_path / "net.pt2")
        program = torch.export.load(tmp_path / "net.pt2").module()
        assert program(torch.zeros(7, 2, 4, 4)).shape == (7, 32)

    def test_what_cannot_be_followed_is_one_message(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError("no way\nand much more")

        monkeypatch.setattr(torch.export, "export", fail)
        with pytest.raises(OutputError, match=r"^torch.export cannot follow the network: no way$"):
            cnncalc.export(TINY, tmp_path / "net.pt2")
        assert [*tmp_path.iterdir()] == []


class TestWeights:
    def test_of_torchvision(self, tmp_path: Path) -> None:
        theirs = torchvision.models.resnet18().eval()
        torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
        file = str(tmp_path / "net.pt2")
        options = ("--weights", str(tmp_path / "theirs.pth"), "--input", "3x64x64")
        status, out, err = invoke("export", "resnet18", file, *options)
        assert (status, err) == (0, "")
        assert out.endswith(f"weights from {tmp_path / 'theirs.pth'}\n")
        x = torch.randn(3, 3, 64, 64)
        with torch.no_grad():
            ours = torch.export.load(file).module()(x)
            torch.testing.assert_close(ours, theirs(x), rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("wrapped", by_tier(["model", "state_dict"], "model"))
    def test_of_our_own_in_onnx(self, wrapped: str, tmp_path: Path) -> None:
        model = cnncalc.build(TINY, seed=9).eval()
        torch.save({"epoch": 3, wrapped: model.state_dict()}, tmp_path / "ours.pt")
        cnncalc.export(TINY, tmp_path / "net.onnx", weights=tmp_path / "ours.pt")
        session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
        x = torch.rand(2, 3, 6, 6)
        (y,) = session.run(None, {"input": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(y), model(x).detach(), rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "c.pt: cannot be read: No such file or directory"),
            (b"", "c.pt: is no checkpoint of PyTorch's"),
            (b"\x80\x02junk", "c.pt: is no checkpoint of PyTorch's"),
            (b"input: [3, 8, 8]\n", "c.pt: is no checkpoint of PyTorch's"),
            ([1, 2], "c.pt: holds no state dict, nor one under model or state_dict"),
            ({}, "c.pt: holds no state dict, nor one under model or state_dict"),
            ({"model": {"epoch": 3}}, "c.pt: holds no state dict"),
            (torch.nn.Linear(2, 2), "c.pt: holds torch.nn.modules.linear.Linear, and only"),
            (argparse.Namespace(a=1), "c.pt: holds argparse.Namespace, and only tensors are safe"),
            (
                {"a": torch.ones(5, 3, 3, 3), "b": torch.ones(4)},
                r"c.pt: tensors without a counterpart, 1 of the model: conv1.weight \(4, 3, 3, 3\);"
                r" 1 of the state dict: a \(5, 3, 3, 3\)$",
            ),
        ],
    )
    def test_wrong_checkpoints_are_one_message(
        self, content: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        if isinstance(content, bytes):
            Path("c.pt").write_bytes(content)
        elif content is not None:
            torch.save(content, "c.pt")
        Path("net.pt2").write_text("as it was")
        with pytest.raises(cnncalc.UsageError, match=message) as caught:
            cnncalc.export(TINY, "net.pt2", weights="c.pt")
        assert "\n" not in str(caught.value)
        assert Path("net.pt2").read_text() == "as it was"

    @pytest.mark.parametrize("ending", [".pt", ".safetensors"])
    def test_alone_in_a_file_and_back(self, ending: str, tmp_path: Path) -> None:
        """Weights that nodes share are in it once, and come back for all of them."""
        spec = network(
            [4, 6, 6],
            {"name": "a", **conv(4, 3, padding=1)},
            "batch_norm",
            {"name": "b", "shares": "a", **conv(4, 3, padding=1)},
        )
        model = cnncalc.build({**spec, "init": {"seed": 3}}).eval()
        file = tmp_path / f"net{ending}"
        cnncalc.export({**spec, "init": {"seed": 3}}, file)
        cnncalc.export(spec, tmp_path / "net.pt2", weights=file)
        x = torch.rand(2, 4, 6, 6)
        with torch.no_grad():
            output = torch.export.load(tmp_path / "net.pt2").module()(x)
            torch.testing.assert_close(output, model(x))
        other = cnncalc.build(spec, seed=4)
        cnncalc.load_weights(other, read_state(file))
        for ours, theirs in zip(other.parameters(), model.parameters(), strict=True):
            assert torch.equal(ours, theirs)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "c.safetensors: cannot be read: No such file or directory"),
            (b"", "c.safetensors: is damaged, or no safetensors: SafetensorError: "),
            (b"\xff" * 64, "c.safetensors: is damaged, or no safetensors: SafetensorError: "),
            (b"\x02" + b"\0" * 7 + b"{}", "c.safetensors: holds no tensors"),
        ],
    )
    def test_wrong_safetensors_are_one_message(
        self, content: bytes | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        if content is not None:
            Path("c.safetensors").write_bytes(content)
        with pytest.raises(cnncalc.UsageError, match=message) as caught:
            cnncalc.export(TINY, "net.pt2", weights="c.safetensors")
        assert "\n" not in str(caught.value)

    def test_without_the_package_there_is_a_way_out(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "safetensors", None)
        monkeypatch.delitem(sys.modules, "safetensors.torch", raising=False)
        with pytest.raises(cnncalc.UsageError, match="is not installed: pip install safetensors"):
            cnncalc.export(TINY, tmp_path / "net.safetensors")
        assert [*tmp_path.iterdir()] == []


class TestFiles:
    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            (
                ("lenet", "net.txt"),
                2,
                "net.txt: no export has the ending .txt; use .py, .onnx, .pt2, .pt, .safetensors",
            ),
            (("lenet", "net"), 2, "net: has no ending; use .py, .onnx, .pt2, .pt, .safetensors"),
            (("lenet", "."), 2, ".: has no ending; use .py, .onnx, .pt2, .pt, .safetensors"),
            (("lenet", "-", "--opset", "20"), 2, "- prints Python source, which holds no weights"),
            (
                ("lenet", "net.py", "--weights", "a.pt"),
                2,
                "net.py: weights does not go with .py: source holds",
            ),
            (("lenet", "folder.pt2"), 1, "folder.pt2: cannot be written: Is a directory"),
            (
                ("lenet", "no/net.pt2"),
                1,
                "no/net.pt2: cannot be written: No such file or directory",
            ),
            (("lenet", "net.pt2", "--opset", "20"), 2, "net.pt2: opset does not go with .pt2"),
            (("lenet", "net.onnx", "--opset", "9"), 2, "opset must be 18 to 23; received 9"),
            (("lenett", "net.pt2"), 2, "lenett: there is no such file or bundled network"),
            (("lenet", "net.pt2", "--set", "a=1"), 2, "'LeNet' has no parameter 'a'"),
        ],
    )
    def test_errors_of_the_command_line(
        self,
        arguments: tuple[str, ...],
        status: int,
        message: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("folder.pt2").mkdir()
        found, out, err = invoke("export", *arguments)
        assert (found, out) == (status, "")
        assert err.startswith(message)
        assert err.count("\n") == 1
        assert [file.name for file in tmp_path.iterdir()] == ["folder.pt2"]

    def test_a_folder_that_may_not_be_written(self, tmp_path: Path) -> None:
        def check() -> None:
            with pytest.raises(OutputError, match="cannot be written: Permission denied"):
                cnncalc.export(TINY, Path("closed") / "net.pt2")

        cnncalc.export(TINY, tmp_path / "net.pt2")
        (tmp_path / "closed").mkdir()
        (tmp_path / "closed").chmod(0o555)
        as_a_user_with_limits(check, tmp_path)

    def test_a_wrong_spec_leaves_the_file_as_it_was(self, tmp_path: Path) -> None:
        file = tmp_path / "net.pt2"
        file.write_text("as it was")
        with pytest.raises(cnncalc.SpecError, match="unknown layer"):
            cnncalc.export(network([3], "reluu"), file)
        assert file.read_text() == "as it was"
        assert [*tmp_path.iterdir()] == [file]

    def test_the_ending_may_be_large_and_permissions_stay(self, tmp_path: Path) -> None:
        file = tmp_path / "net.PT2"
        file.write_text("old")
        file.chmod(0o640)
        cnncalc.export(TINY, file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
        assert torch.export.load(file).module()(torch.zeros(3, 3, 6, 6)).shape == (3, 4, 4, 4)

    def test_a_full_disk_leaves_the_old_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: int) -> None:
            raise OSError(28, "No space left on device")

        file = tmp_path / "net.pt2"
        file.write_text("as it was")
        monkeypatch.setattr(os, "fsync", fail)
        message = r"net\.pt2: cannot be written: No space left on device"
        with pytest.raises(OutputError, match=message):
            cnncalc.export(TINY, file)
        assert file.read_text() == "as it was"
        assert [*tmp_path.iterdir()] == [file]

    @pytest.mark.exhaustive
    def test_what_is_ended_half_way_leaves_nothing(self, tmp_path: Path) -> None:
        script = """
import signal, sys, torch
def save(program, file):
    open(file, "wb").write(b"half of it")
    print("half", flush=True)
    signal.pause()
torch.export.save = save
from cnncalc.cli import main
sys.argv = ["cnncalc", "export", "mlp1", "net.pt2"]
main()
"""
        child = subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "half\n"
        time.sleep(0.1)
        child.send_signal(signal.SIGTERM)
        _, err = child.communicate(timeout=300)
        assert (child.returncode, err) == (143, "")
        assert [*tmp_path.iterdir()] == []


def test_the_command_says_what_it_wrote_and_nothing_else(tmp_path: Path) -> None:
    file = str(tmp_path / "net.onnx")
    said = f"{file}: ONNX, opset 21, any batch size, weights as they start\n"
    assert invoke("export", "mlp1", file, "--opset", "21") == (0, said, "")


def test_parameters_input_and_variant_are_those_of_the_command_line(tmp_path: Path) -> None:
    file = str(tmp_path / "net.pt2")
    spec = tmp_path / "net.yaml"
    spec.write_text(SMALL, encoding="utf-8")
    options = ("--variant", "wide", "--set", "sizes=[5]", "--input", "1x9x7")
    assert invoke("export", str(spec), file, *options)[0] == 0
    program = torch.export.load(file).module()
    assert program(torch.zeros(2, 1, 9, 7)).shape == (2, 16, 5, 3)


def test_the_help_names_the_opsets() -> None:
    help_text = " ".join(invoke("export", "--help")[1].split())
    assert f"{opset.OPSETS[0]} to {opset.OPSETS[-1]}; else {opset.OPSET}" in help_text
    endings = re.findall(r"\.(?:onnx|pt2|pt|py|safetensors)\b", help_text)
    assert {*endings} == {*module.FORMS}


def test_python_source_is_written_and_printed(tmp_path: Path) -> None:
    status, out, err = invoke("export", "lenet", str(tmp_path / "lenet.py"))
    assert (status, err) == (0, "")
    assert out.endswith("lenet.py: Python source of PyTorch modules\n")
    source = (tmp_path / "lenet.py").read_text(encoding="utf-8")
    assert "class LeNet(nn.Module):" in source
    assert invoke("export", "lenet", "-") == (0, source, "")


def test_random_numbers_of_the_program_go_on_as_before(tmp_path: Path) -> None:
    torch.manual_seed(3)
    cnncalc.build(network([3, 6, 6], conv(4, 3)))
    expected = torch.rand(3)
    torch.manual_seed(3)
    cnncalc.export(network([3, 6, 6], conv(4, 3)), tmp_path / "net.pt2")
    assert torch.equal(torch.rand(3), expected)

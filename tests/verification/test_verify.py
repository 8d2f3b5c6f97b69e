"""`cnncalc verify`: the table of every network is true, and what the command prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from support import LONG_TO_VERIFY, agrees, by_tier, conv, examples, network, representatives
from support.places import ROOT, SPECS
from support.processes import environment, invoke, on_terminal, run
from support.strategies import STRATEGIES

import cnncalc
from cnncalc.errors import SpecError
from cnncalc.spec import bundled
from cnncalc.verification.result import Check, LayerChecks, Verification

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.field_networks import KINDS, is_comparable, networks  # noqa: E402

from cnncalc.verification.fields import chains  # noqa: E402

if TYPE_CHECKING:
    from strategies import Case

LARGE = 3 * 10**8
"""Multiply-adds beyond which a network's receptive fields take long to measure."""
IN_FULL = ("googlenet", "resnet152", "vgg16")
SMALL_SPECS = ("alexnet_v2", "densenet_cifar")


# --- networks ---------------------------------------------------------------------------------


def entries() -> list[Any]:
    """Bundled networks; the large ones in full only where `IN_FULL` names them."""
    full = [pytest.param(name, True, marks=pytest.mark.exhaustive) for name in IN_FULL]
    quick = by_tier(representatives(), *({*representatives()} - {*LONG_TO_VERIFY}))
    return [*(pytest.param(*case.values, False, marks=case.marks) for case in quick), *full]


@pytest.mark.parametrize(("name", "full"), entries())
def test_bundled_networks_are_true(name: str, full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "BUDGET", 20 * 10**9)
    summary = cnncalc.analyze(name)
    quick = not full and summary.totals.multiply_adds > LARGE
    verification = agrees(cnncalc.verify(name, quick=quick))
    assert [layer.name for layer in verification.layers] == [row.name for row in summary.layers]
    measured = {check.name: check.measured for check in verification.totals}
    assert measured["parameters"] == summary.totals.parameters
    assert measured["multiply-adds"] == summary.totals.multiply_adds
    assert measured["activation bytes"] == summary.totals.activation_bytes
    assert measured.get("receptive field") == (
        None if quick else summary.totals.receptive_field.size
    )


OTHERS = {path.stem: path for path in sorted(SPECS.glob("*.yaml"))}


@pytest.mark.parametrize(
    "path",
    by_tier(OTHERS.values(), *(OTHERS.keys() - {*LONG_TO_VERIFY}), name=lambda path: path.stem),
)
def test_other_specs_are_true(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "BUDGET", 5 * 10**9)
    variant = next(iter(bundled._variants(path)), None)
    try:
        architecture = cnncalc.load(path, variant=variant)
        agrees(cnncalc.verify(architecture, quick=path.stem not in SMALL_SPECS))
    except SpecError as error:
        assert "has no value" in str(error)  # noqa: PT017 - a family without a default network
        pytest.skip("a family whose parameters its own tests set")


@pytest.mark.drawn
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_random_networks_are_true(axes: int) -> None:
    @settings(
        max_examples=examples({1: 60, 2: 25, 3: 10}[axes]),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(networks(axes))
    def check(spec: dict[str, Any]) -> None:
        agrees(cnncalc.verify(spec))

    check()


@pytest.mark.drawn
@pytest.mark.parametrize("kind", KINDS)
def test_random_layers_are_true(kind: str) -> None:
    """Padding of every mode too."""
    verified = 0

    @settings(max_examples=examples(10))
    @given(STRATEGIES[kind].filter(is_comparable))
    def check(case: Case) -> None:
        nonlocal verified
        try:
            spec = network([*case.shapes[0]], {kind: case.fields})
            cnncalc.analyze(spec)
        except SpecError:
            return
        agrees(cnncalc.verify(spec))
        verified += 1

    check()
    assert verified


PAD: dict[str, Any] = {"pad": {"padding": 2}}
ESCAPES: dict[str, Any] = {
    "channels chosen from a concat": [
        {"concat": [[conv(2, 3, padding=1)], [conv(2, 1)]]},
        {"slice": {"start": 2}},
        conv(2, 3),
    ],
    "padding after a crop": [{"crop": 2}, PAD, conv(2, 3)],
    "units that were mixed, added to those that were not": [
        conv(2, 3, padding=1),
        {"add": [[{"reshape": {"shape": [3, 2, 27]}}, {"reshape": {"shape": [2, 9, 9]}}], []]},
    ],
    "a unit in the padding of one axis of one operand": [
        {
            "add": [
                [{"pad": {"padding": [1, 0]}}, conv(2, [1, 5], padding=[0, 2])],
                [conv(2, 3, padding=[2, 1])],
            ]
        }
    ],
    "zeros in the padding of a factor": [
        {"multiply": [[{"pad": {"padding": 1}}], [conv(2, 1, padding=1)]]}
    ],
    "a ring around units that all see the same": [
        {"multiply": [[conv(2, 3, padding=1)], ["global_avg_pool", conv(2, 1)]]},
        {"pad": {"padding": [[0, 1], [0, 0]]}},
    ],
    "circular padding": [{"pad": {"padding": 5, "mode": "circular"}}, conv(2, 3)],
    "a softmax of one number": ["global_avg_pool", {"softmax": {"dim": 2}}, conv(2, 1)],
    "a norm of one number": ["global_avg_pool", {"group_norm": {"num_groups": 2}}],
    "a norm that depends on its neighbours by nothing": [
        {"local_response_norm": {"size": 3, "alpha": 0.0}}
    ],
    "shared statistics": [{"name": "a", "batch_norm": {}}, {"batch_norm": {}, "shares": "a"}],
    "frozen and shared weights": [
        {"name": "a", **conv(2, 3), "frozen": True},
        {**conv(2, 3), "shares": "a"},
    ],
    "an output that is added to itself": [
        {"name": "a", **conv(2, 3)},
        {"add": {}, "inputs": ["a", "a"]},
    ],
    "one channel as a vector": [
        {"slice": {"start": 1}},
        {"reshape": {"shape": [81]}},
        {"linear": 3},
    ],
}
"""Corners in which a unit sees less than its field says, or PyTorch less than it should."""


@pytest.mark.parametrize("corner", ESCAPES)
def test_no_false_alarm_in_corners(corner: str) -> None:
    agrees(cnncalc.verify(network([2, 9, 9], *ESCAPES[corner])))


def test_what_is_left_out_is_said() -> None:
    chosen = cnncalc.verify(network([2, 9, 9], *ESCAPES["channels chosen from a concat"]))
    assert "chosen from several branches: 1 layer;" in "\n".join(chosen.notes)
    constant = cnncalc.verify(network([2, 9, 9], *ESCAPES["a softmax of one number"]))
    assert "norms and softmaxes of one number: 1 layer" in "\n".join(constant.notes)
    circular = cnncalc.verify(network([2, 9, 9], *ESCAPES["circular padding"]))
    assert "padding of any mode as zeros" in circular.notes[1]


def test_a_costly_network_says_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "BUDGET", 0)
    notes = "\n".join(agrees(cnncalc.verify("lenet")).notes)
    assert "end to end: 1 unit of 1 layer" in notes
    assert "left out, too costly: 5 layers" in notes


def test_a_layer_too_large_for_real_numbers_is_left_out() -> None:
    spec = network([1, 40000], {"reshape": {"shape": [40000]}}, {"linear": 10000})
    verification = agrees(cnncalc.verify(spec))
    assert "left out, too costly: 1 layer" in "\n".join(verification.notes)
    assert verification.layers[1].checks[-1] == Check("receptive field", (40000,), None)
    assert "40000 (not measured)" in str(verification)


def test_the_random_numbers_of_others_are_left_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    cnncalc.verify("mlp1")
    assert torch.equal(torch.get_rng_state(), before)


# --- the command ------------------------------------------------------------------------------


def test_the_table() -> None:
    status, out, err = invoke("verify", "lenet")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "LeNet · input 1×28×28"
    columns = "name output parameters multiply-adds receptive field activation bytes verdict"
    assert lines[2].split() == columns.split()
    assert lines[4].split() == ["conv1", "32×24×24", "832", "460,800", "5×5", "73,728", "agrees"]
    assert "multiply-adds        1,333,200  1,333,200  agrees" in lines
    assert f"PyTorch {torch.__version__}: shapes, parameters" in out
    assert "39 units of 10 layers against gradients by their own inputs" in out
    assert "26 units of 6 layers against gradients by the image" in out
    assert lines[-1] == "the table is true of the module"


def test_quick_leaves_receptive_fields_out() -> None:
    status, out, _ = invoke("verify", "resnet18", "--quick")
    assert status == 0
    assert "receptive fields: left out, as asked for" in out
    assert "receptive field " not in out


def test_a_vector_has_no_receptive_fields() -> None:
    verification = agrees(cnncalc.verify(network([8], {"linear": 3})))
    assert "receptive" not in str(verification)


def test_options() -> None:
    arguments = ["--variant", "resnet18", "--set", "classes=7", "--input", "3x32x32", "--quick"]
    status, out, _ = invoke("verify", "resnet", *arguments)
    assert status == 0
    assert "resnet18 · input 3×32×32" in out
    assert "linear1 " in out
    assert any(line.split()[:2] == ["output", "7"] for line in out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "nothing: there is no such file or bundled network"),
        (["lenet", "--input", "3xx"], "is no input shape"),
        (["lenet", "--quik"], "No such option"),
        ([], "Missing argument"),
    ],
)
def test_bad_usage_is_status_2(arguments: list[str], message: str) -> None:
    status, out, err = invoke("verify", *arguments)
    assert (status, out) == (2, "")
    assert message in err


def test_a_bad_spec_is_status_2(tmp_path: Path) -> None:
    spec = tmp_path / "bad.yaml"
    spec.write_text("input: [1, 8, 8]\nlayers:\n  - conv: {out_channels: 2, kernal_size: 3}\n")
    status, out, err = invoke("verify", str(spec))
    assert (status, out) == (2, "")
    assert "bad.yaml:3:29: conv.kernal_size: unknown field; did you mean kernel_size?" in err


@pytest.mark.exhaustive
def test_redirected_output_is_plain() -> None:
    done = run("verify", "mlp1", FORCE_COLOR="1")
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert "\x1b" not in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) > 100  # the notes, in one line each


@pytest.mark.exhaustive
def test_a_narrow_terminal_breaks_lines_and_cuts_no_number() -> None:
    text = on_terminal("verify", "lenet", "--quick", columns=60, NO_COLOR="1")
    assert "1,333,200" in text
    assert "460,800" in text
    assert "…" not in text


@pytest.mark.exhaustive
def test_a_terminal_has_colours() -> None:
    assert "\x1b[32magrees" in on_terminal("verify", "mlp1", "--quick", columns=120)


def test_without_pytorch_one_line_says_how_to_install_it() -> None:
    script = "import sys; sys.modules['torch'] = None; from cnncalc.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "verify", "lenet"],
        env=environment(),
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "verify needs PyTorch: pip install torch torchvision\n"


def test_what_was_found_needs_no_pytorch() -> None:
    """A verification is plain data, and is drawn without PyTorch."""
    script = (
        "import json, sys\n"
        "from cnncalc.verification.result import Check, LayerChecks, Verification\n"
        "layer = LayerChecks('a', (Check('output', (3, 4), (3, 5)), Check('buffers', 1, 2)))\n"
        "print(json.dumps([str(Verification('x', (3, 8), (layer,), (), ())),"
        " sorted({'torch', 'numpy'} & set(sys.modules))]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    text, loaded = json.loads(done.stdout)
    assert loaded == []
    assert "3×4, measured: 3×5" in text
    assert "differs: buffers 1, measured: 2" in text


def test_only_the_whole_may_differ() -> None:
    fine = LayerChecks("a", (Check("parameters", 1, 1),))
    whole = Verification("x", (3,), (fine,), (Check("multiply-adds", 4, 5),), ())
    assert not whole.ok
    assert whole.verdict == "the whole module differs from the table"
    assert whole.reasons == "multiply-adds"
    assert repr(whole) == "<Verification of x: the whole module differs from the table>"

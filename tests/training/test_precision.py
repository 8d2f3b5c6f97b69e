"""`precision: auto`, whatever processor runs the tests, and the suite's own `--bfloat16`."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import by_tier, network
from support.imitated import sitecustomize
from support.places import ROOT
from support.processes import environment

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from cnncalc.training import device as setting  # noqa: E402

FEATURES = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
"""What PyTorch is asked."""


@pytest.fixture(autouse=True)
def detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product's own answer, whatever `--bfloat16` says."""
    monkeypatch.setattr(setting, "has_bfloat16", inspect.unwrap(setting.has_bfloat16))


def chosen(precision: str) -> object:
    recipe = cnncalc.load(network([4], {"linear": 2})).recipe({"precision": precision})
    return setting.choose_setting(recipe, "cpu", (4,)).precision


@pytest.mark.parametrize("feature", [None, *FEATURES])
def test_auto_is_bfloat16_where_the_processor_has_units_for_it(
    feature: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in FEATURES:
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name == feature)
    assert chosen("auto") == (torch.bfloat16 if feature else torch.float32)
    assert chosen("bfloat16") == torch.bfloat16
    assert chosen("float32") == torch.float32


def test_auto_is_float32_where_pytorch_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FEATURES:
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert chosen("auto") == torch.float32


ASK = """
import torch
from cnncalc.training import device as setting
print(setting.has_bfloat16(torch.device("cpu")), hasattr(setting.has_bfloat16, "__wrapped__"))
"""


@pytest.mark.parametrize("answer", by_tier(["yes", "no", None]))
def test_what_the_tests_start_answers_as_they_do(answer: str | None) -> None:
    """`pytest --bfloat16`; and without it nothing is changed."""
    given = environment(PYTHONPATH=f"{ROOT}{os.pathsep}{Path(sitecustomize.__file__).parent}")
    given.pop(sitecustomize.VARIABLE, None)
    if answer is not None:
        given[sitecustomize.VARIABLE] = answer
    command = [sys.executable, "-c", ASK]
    done = subprocess.run(command, env=given, capture_output=True, check=True, text=True)
    real = setting.has_bfloat16(torch.device("cpu"))
    expected = real if answer is None else answer == "yes"
    assert done.stdout.split() == [str(expected), str(answer is not None)]

"""What several tests share: networks written in place, the command line, tiers."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings as Settings  # noqa: N812 - its default is the profile's
from typer.testing import CliRunner

import cnncalc
from cnncalc.cli import app
from cnncalc.spec import bundled as library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _pytest.mark import ParameterSet

    from cnncalc import LayerSummary, Summary, Verification

LECTURES = (
    *("alexnet", "conv_example", "googlenet", "lenet", "lenet5", "lenet5_1998", "lenet5_wide"),
    *("mlp1", "mlp3", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "vgg", "vgg16"),
)
"""Bundled networks that lectures show."""
CHOSEN = {
    "mnasnet": ("mnasnet1_0",),
    "regnet": ("regnet_x_400mf", "regnet_y_400mf"),
    "resnet": ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    "unet": ("unet_same",),
    "vgg_imagenet": ("vgg16",),
}
"""Variants that stand for their family in place of the first."""
LONG_TO_VERIFY = (
    *("densenet121", "densenet_cifar", "efficientnet_v2_s", "googlenet_torchvision"),
    *("inception_v3", "mnasnet1_0", "mobilenet_v1_0_25", "mobilenet_v2", "mobilenet_v3_small"),
    *("regnet_x_400mf", "regnet_y_400mf", "resnet20", "resnet34", "resnet50", "resnet101"),
    *("resnet152", "shufflenet_v2_x0_5", "vgg", "vgg_formula"),
)
"""What test_verify.py leaves to the exhaustive tier."""
NAMES = ("name", "inputs", "layer", "kind", "formulas")


def examples(number: int) -> int:
    """How many examples a test draws: of so many a quarter in the quick tier, twice as many in the
    exhaustive one, forty times as many for `scripts/proofs` (the profiles of conftest.py)."""
    return max(2, number * Settings.default.max_examples // 100)


def by_tier(
    cases: Iterable[Any], *quick: str, name: Callable[[Any], str] = str
) -> list[ParameterSet]:
    """Parameters of a test: those that `quick` names, and the others for the exhaustive tier."""
    cases = [*cases]
    missing = {*quick} - {name(case) for case in cases}
    assert not missing, f"there is no {', '.join(sorted(missing))}"
    return [
        pytest.param(
            case, id=name(case), marks=() if name(case) in quick else pytest.mark.exhaustive
        )
        for case in cases
    ]


def representatives() -> list[str]:
    """Bundled networks: one of every family, mostly. All of them would take the tests minutes;
    test_zoo.py holds their totals."""
    names: list[str] = []
    for file in library.files():
        variants = [variant for path, variant in library.entries() if path == file and variant]
        names += CHOSEN.get(file.stem) or variants[:1] or [file.stem]
    return names


def network(shape: list[int], *layers: Any, **keys: Any) -> dict[str, Any]:
    """A spec as plain data."""
    return {"input": shape, "layers": [*layers], **keys}


def summarize(shape: list[int], *layers: Any, **keys: Any) -> Summary:
    """The summary of a network written in place."""
    return cnncalc.analyze(network(shape, *layers, **keys))


def row(shape: list[int], *layers: Any, **keys: Any) -> LayerSummary:
    """The last row of a network written in place."""
    return summarize(shape, *layers, **keys).layers[-1]


def bundled(name: str, variant: str | None = None, **parameters: Any) -> Summary:
    """The summary of a bundled network, with parameters set."""
    return cnncalc.analyze(cnncalc.load(name, variant=variant, parameters=parameters))


def cnncalc_output(*arguments: str) -> str:
    """What the command line prints; it must succeed."""
    result = CliRunner().invoke(app, [*arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def agrees(verification: Verification) -> Verification:
    """What `verify` found, which is no difference."""
    assert verification.ok, (verification.reasons, verification.differing, verification.totals)
    return verification


def figures(layer: LayerSummary, *without: str) -> dict[str, Any]:
    """Everything that a row counts, without what it is called."""
    return {
        name: figure for name, figure in layer._asdict().items() if name not in (*NAMES, *without)
    }


def table(summary: Summary) -> list[dict[str, Any]]:
    """What each row of a summary counts."""
    return [figures(layer) for layer in summary.layers]


def conv(out: Any, kernel: Any, **options: Any) -> dict[str, Any]:
    """A convolution as an item."""
    return {"conv": {"out_channels": out, "kernel_size": kernel, **options}}


INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
JOINERS = "\u00ad\u200c\u200d"
"""Invisible, and part of words and emoji."""


def unsafe(text: str) -> set[str]:
    """Characters of a text of several lines that no one sees, or that change what others see."""
    return {
        char
        for char in text
        if char != "\n" and char not in JOINERS and unicodedata.category(char) in INVISIBLE
    }

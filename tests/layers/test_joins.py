"""A join is one class: what it computes, writes and lists is said there, and found everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support import conv

import cnncalc
from cnncalc.exporting.python_source import write_source
from cnncalc.layers import registry
from cnncalc.layers.base import REGISTRY
from cnncalc.layers.merge import Add, Merge
from cnncalc.spec.json_schema import json_schema

BRANCHES = [[conv(4, 1)], [conv(4, 1), "relu"], []]


@pytest.fixture
def difference() -> Iterator[None]:
    """A join that no one has written yet."""

    class Difference(Merge):
        """The first of its inputs less the others."""

        kind = "subtract"
        torch_name = "Subtract"
        function = "sub"
        symbol = "-"
        container = "Difference"

        def output_shape(self, *xs: Any) -> Any:
            return Add.output_shape(self, *xs)  # type: ignore[arg-type]

    yield
    del REGISTRY["subtract"]


def spec(*layers: Any) -> dict[str, Any]:
    return {"input": [4, 5, 5], "layers": [*layers]}


@pytest.mark.usefixtures("difference")
def test_a_new_one_is_tabulated_and_listed() -> None:
    summary = cnncalc.analyze(spec({"subtract": BRANCHES}))
    assert [row.kind for row in summary.layers] == ["conv", "conv", "relu", "subtract"]
    assert summary.layers[-1].inputs == (
        "subtract1.branch1.conv1",
        "subtract1.branch2.relu1",
        "input",
    )
    assert summary.layers[-1].flops == 2 * 4 * 5 * 5
    assert "subtract" in str(json_schema())
    with pytest.raises(cnncalc.SpecError, match="add, concat, multiply and subtract take several"):
        cnncalc.analyze(spec({"name": "a", "relu": None}, {"relu": None, "inputs": ["a", "input"]}))


@pytest.mark.usefixtures("difference")
def test_a_new_one_is_computed_as_it_says_not_as_a_sum() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    model = cnncalc.build(spec({"subtract": BRANCHES}), seed=0).eval()
    x = torch.randn(2, 4, 5, 5)
    join = model.subtract1
    first, second = join.branch1.conv1(x), join.branch2.relu1(join.branch2.conv1(x))
    torch.testing.assert_close(model(x), first - second - x)
    # Its receptive field is not asked for: gradients that cancel prove nothing.
    assert cnncalc.verify(spec({"subtract": BRANCHES}), quick=True).ok


@pytest.mark.usefixtures("difference")
def test_a_new_one_is_written_with_its_operator() -> None:
    names = [{"name": "a", **conv(4, 1)}, {"name": "b", "inputs": ["input"], **conv(4, 1)}]
    source = write_source(cnncalc.load(spec(*names, {"subtract": {}, "inputs": ["a", "b"]})))
    assert "        return a - x\n" in source


def test_every_join_says_all_of_it() -> None:
    """What is missing is named: `subtract: its class states no container`."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from cnncalc.exporting.python_source import containers

    missing = []
    for kind, cls in registry().items():
        if not cls.joins:
            continue
        assert issubclass(cls, Merge)
        own = cls.compute.__func__ is not Merge.compute.__func__  # type: ignore[attr-defined]
        stated = ["container"] if own else ["container", "function", "symbol"]
        missing += [
            f"{kind}: its class states no {name}" for name in stated if not hasattr(cls, name)
        ]
        if hasattr(cls, "container") and not hasattr(containers, cls.container):
            missing.append(f"{kind}: containers.py has no {cls.container}")
    assert missing == []

"""What a layer says of itself in its class is found wherever it is asked for, with no further edit.

What others call it and its fields, and whether its numbers are those of its input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

import cnncalc
from cnncalc.layers import registry
from cnncalc.layers.base import REGISTRY, Layer, Rearrangement
from cnncalc.maths.windows import SAME, WHOLE
from cnncalc.spec.architecture import ITEM_KEYS, SUGAR


@pytest.fixture
def flipped() -> Iterator[None]:
    """A layer that no one has written yet."""

    class Flipped(Rearrangement):
        """The channels in the opposite order."""

        kind = "channel_flip"
        also_called = ("reverse", "mirror2d")
        fields_also_called: ClassVar[Mapping[str, str]] = {"count": "turns"}
        keeps_numbers: ClassVar[bool] = True
        turns: int = 1

        def build(self, nn: Any, x: Any) -> Any:
            return nn.Identity()

    class Child(Flipped):
        """Other names are the class's own: this has none."""

        kind = "child_flip"

    yield
    del REGISTRY["channel_flip"], REGISTRY["child_flip"]


def message(*layers: Any, **keys: Any) -> str:
    with pytest.raises(cnncalc.SpecError) as caught:
        cnncalc.analyze({"input": [4, 5, 5], "layers": [*layers], **keys})
    return str(caught.value)


@pytest.mark.usefixtures("flipped")
@pytest.mark.parametrize(
    "item", ["reverse", {"Mirror2d": 2}, "='reverse'", {"concat": [["mirror2d"], []]}]
)
def test_another_name_is_suggested_wherever_a_kind_may_stand(item: Any) -> None:
    assert message(item).endswith("; did you mean channel_flip?")


@pytest.mark.usefixtures("flipped")
def test_another_name_of_a_field_is_suggested() -> None:
    assert message({"channel_flip": {"count": 2}}).endswith("unknown field; did you mean turns?")
    assert "turns" not in message({"relu": {"count": 2}})


@pytest.mark.usefixtures("flipped")
def test_what_keeps_its_numbers_is_looked_through_for_the_ending() -> None:
    pytest.importorskip("torch", reason="recipes are checked where a network is trained")
    from cnncalc.network.expansion import build_graph
    from cnncalc.training.recipe_checks import ending

    layers = ["flatten", {"linear": 3}, "log_softmax"]

    def end(*after: Any) -> str:
        spec = {"input": [4, 5, 5], "layers": [*layers, *after]}
        return ending(build_graph(cnncalc.load(spec)))

    assert end("channel_flip", "identity") == end() == "log_softmax"
    assert end("dropout", "channel_flip") == "dropout"


def taken_names() -> list[str]:
    """What is wrong with the other names of kinds, and of fields."""
    known = registry()
    said = [(name, kind) for kind, cls in known.items() for name in cls.also_called]
    said += [(name, word) for word, names in SUGAR.items() for name in names]
    names = [name for name, _ in said]
    wrong = [
        f"{kind}: also_called: {name!r} is taken"
        for name, kind in said
        if name in {*known, *SUGAR, *ITEM_KEYS} or names.count(name) > 1
    ]
    wrong += [
        f"{kind}: {name!r} is not in small letters" for name, kind in said if name.lower() != name
    ]
    return wrong + [
        f"{kind}: has no field {field!r} that others call {name!r}"
        for kind, cls in known.items()
        for name, field in cls.fields_also_called.items()
        if field not in cls.model_fields or name in cls.model_fields
    ]


def test_no_other_name_is_taken() -> None:
    assert taken_names() == []


def test_a_name_that_is_taken_is_found() -> None:
    class Wrong(Layer):
        """Its other names are no others."""

        kind = "wrong"
        also_called = ("relu", "Big")
        fields_also_called: ClassVar[Mapping[str, str]] = {"count": "turns"}

    try:
        assert taken_names() == [
            "wrong: also_called: 'relu' is taken",
            "wrong: 'Big' is not in small letters",
            "wrong: has no field 'turns' that others call 'count'",
        ]
    finally:
        del REGISTRY["wrong"]


def test_what_is_the_same_whatever_comes_in_is_said_by_the_class() -> None:
    """A softmax of one channel is 1: nothing of its field can be measured, and nothing is wrong."""
    pytest.importorskip("torch", reason="PyTorch is not installed")

    class Gate(Layer):
        """A softmax over the channels."""

        kind = "gate"
        flops_per_output = 1

        def reach(self, x: Any) -> Any:
            return (WHOLE, *(SAME for _ in x[1:]))

        def build(self, nn: Any, x: Any) -> Any:
            return nn.Softmax(dim=1)

    class SaidGate(Gate):
        """The same, that says so."""

        kind = "said_gate"

        def is_hollow(self, y: Any) -> bool:
            return bool(y.min() > 1 - 1e-9)

    try:
        ok = {
            kind: cnncalc.verify({"input": [1, 4, 4], "layers": ["relu", kind]}).ok
            for kind in ("gate", "said_gate")
        }
        assert ok == {"gate": False, "said_gate": True}
        assert cnncalc.verify({"input": [3, 4, 4], "layers": ["relu", "said_gate"]}).ok
    finally:
        del REGISTRY["gate"], REGISTRY["said_gate"]

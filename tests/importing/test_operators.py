"""What an operator is, is said where it is registered; what a layer keeps, by its class."""

from __future__ import annotations

from typing import Any

import pytest
from support import conv

from cnncalc.importing.sketch.operations import Sketch, Unfit, Weight, name_of
from cnncalc.importing.sketch.site import Site, Translators


def site(sketch: Sketch, shape: tuple[int, ...], **arguments: Any) -> Site:
    return Site(sketch, "aten.new.default", {"x": sketch.entry, **arguments}, shape, (), True)


def test_a_function_that_is_registered_twice_is_told_what_it_stands_for() -> None:
    translators = Translators()

    @translators.of("mean_of", kind="global_avg_pool")
    @translators.of("max_of", "largest_of", kind="global_max_pool")
    def pool(site: Site, kind: str) -> Any:
        return site.layer(kind)

    @translators.of("passed_on")
    def passed_on(site: Site) -> Any:
        return site.x

    sketch = Sketch("net", (4, 5, 5))
    made = {name: translate(site(sketch, (4, 1, 1))) for name, translate in translators.items()}
    assert made.pop("passed_on") is sketch.entry
    assert {name: operation.kind for name, operation in made.items()} == {
        "mean_of": "global_avg_pool",
        "max_of": "global_max_pool",
        "largest_of": "global_max_pool",
    }
    assert pool(site(sketch, (4, 1, 1)), kind="global_avg_pool").kind == "global_avg_pool"


@pytest.mark.parametrize(
    ("origin", "name"),
    [("aten.add_.Tensor", "add"), ("Add", "add"), ("aten.unsqueeze.default", "unsqueeze")],
)
def test_an_operator_is_known_by_its_whole_name(origin: str, name: str) -> None:
    assert name_of(origin) == name


def test_what_a_layer_keeps_and_does_not_learn_is_said_by_its_class() -> None:
    sketch = Sketch("net", (4,))
    codes = Weight("codes", (3, 4), learnt=False)
    kept = sketch.add("rbf", {"out_features": 3}, [sketch.entry], (3,), weights={"codes": codes})
    assert kept.learnable == []
    assert not kept.frozen
    names = ("weight", "bias", "running_mean", "running_var")
    weights = {name: Weight(name, (4,), learnt=False) for name in names}
    norm = sketch.add("batch_norm", {}, [sketch.entry], (4,), weights=weights)
    assert [weight.name for weight in norm.learnable] == ["weight", "bias"]
    assert norm.frozen


def test_a_stride_is_left_out_where_it_is_the_kernel_by_default() -> None:
    sketch = Sketch("net", (4, 6, 6))
    fields = {"kernel_size": [2, 2], "stride": [2, 2]}
    pool = sketch.add("max_pool", fields, [sketch.entry], (4, 3, 3))
    assert pool.fields == {"kernel_size": 2}
    weights = {"weight": Weight("w", (4, 4, 2, 2))}
    fields |= conv(4, 2, bias=False)["conv"] | {"stride": [2, 2]}
    made = sketch.add("conv", fields, [sketch.entry], (4, 3, 3), weights=weights)
    assert made.fields["stride"] == 2
    with pytest.raises(Unfit, match="has other weights"):
        sketch.add("conv", fields, [sketch.entry], (4, 3, 3))

"""The data that a recipe names, or that are handed over, as its network takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnncalc.training.data import DataSet, from_python, load_data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnncalc.graph import Graph
    from cnncalc.recipe import Recipe


def read_data(
    recipe: Recipe, graph: Graph, data: Any = None, *, known: Sequence[str] = ()
) -> DataSet:
    """`data` from Python, else what the recipe names.

    `known` are the classes of a run that is evaluated; see `load_data`.

    Raises:
        UsageError: they cannot be read, or do not fit the network.
    """
    chosen = recipe.data
    options: dict[str, Any] = {
        "input_shape": graph.input_shape,
        "outputs": graph.shape_of(graph.output)[0],
        "validation": chosen.validation,
        "resize": chosen.resize,
        "seed": recipe.seed,
        "known": known,
    }
    if data is not None:
        return from_python(data, **options)
    return load_data(chosen.name, directory=chosen.dir, on_corrupt=chosen.corrupt, **options)

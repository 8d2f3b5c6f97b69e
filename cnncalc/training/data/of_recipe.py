"""The data that a recipe names, or that are handed over, as its network takes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncalc.spec.train_reading import merged_settings
from cnncalc.training.data import DataSet, from_python, load_data

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnncalc.network.graph import Graph
    from cnncalc.spec.architecture import Architecture
    from cnncalc.spec.train_section import Recipe


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


def with_name(settings: Mapping[str, Any], data: Any) -> tuple[Mapping[str, Any], Any]:
    """The settings, with a data set that is given by its name among them; and other data."""
    if not isinstance(data, str):
        return settings, data
    return merged_settings(settings, {"data.name": data}), None


def with_absolute_dir(settings: Mapping[str, Any], network: Architecture) -> dict[str, Any]:
    """The settings of a run, with the folder of its data as it is found from anywhere."""
    directory = network.recipe(settings).data.dir
    if directory is None:
        return dict(settings)
    return merged_settings(settings, {"data.dir": str(Path(directory).expanduser().absolute())})

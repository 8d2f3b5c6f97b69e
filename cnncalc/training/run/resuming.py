"""What a run was, read from its folder, and what may be changed when it goes on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from zlib import crc32

from cnncalc.errors import UsageError, shorten
from cnncalc.spec.loading import load
from cnncalc.spec.train_reading import merged_settings
from cnncalc.training.options import RunOptions
from cnncalc.training.processes.processes import here

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cnncalc.spec.architecture import Architecture
    from cnncalc.spec.train_section import Recipe
    from cnncalc.training.data import DataSet
    from cnncalc.training.run.folder import RunWriter

CHANGEABLE = (
    *("epochs", "steps", "schedule", "optimizer.lr", "clip", "accumulate", "precision"),
    *("loss", "augment", "evaluate_every", "patience", "data.dir"),
)
"""Fields of a recipe that a resumed run may have otherwise, from there on. The others decide what a
step is, or what the checkpoint holds."""


@dataclass(frozen=True)
class Known:
    """A run as run.json describes it."""

    folder: RunWriter
    description: dict[str, Any]
    network: Architecture
    settings: dict[str, Any]

    @property
    def recipe(self) -> Recipe:
        return self.network.recipe(self.settings)

    @property
    def has_own_data(self) -> bool:
        """Whether it was trained on data that were handed over in Python."""
        name: str = self.description["data"]["name"]
        return name != self.recipe.data.name

    def options(self, **chosen: Any) -> RunOptions:
        """Those of the run; what is chosen anew, and is not None, in place of its own."""
        anew = {name: value for name, value in chosen.items() if value is not None}
        return replace(RunOptions.of_run(self.description), **anew)

    def changed(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of the run with others on top.

        Raises:
            UsageError: one of them is fixed for a run.
        """
        merged = merged_settings(self.settings, settings)
        before, after = (dict(_flat(r)) for r in (self.recipe, self.network.recipe(merged)))
        for name, value in after.items():
            free = name.startswith("data.") and self.has_own_data
            if value != before[name] and not free and not _is_changeable(name):
                raise UsageError(
                    f"train.{name} is fixed for a run: {shorten(before[name])}, not"
                    f" {shorten(value)}; --init {self.folder.path} starts a new one"
                )
        return merged

    def check_begins_anew(self) -> None:
        """Raises `UsageError` if a run without a checkpoint cannot be begun again as it was."""
        if here().from_first(self.folder.has_rows):
            raise UsageError(f"{self.folder.checkpoints}: there is no checkpoint to resume from")
        if self.description.get("init"):
            raise UsageError(
                f"{self.folder.path} saved nothing before it stopped, and began with other weights:"
                " start it anew, with another --output"
            )

    def as_begun(self, data: DataSet) -> DataSet:
        """The data with the normalisation that the run began with; random ones measure anew.

        Raises:
            UsageError: these are not the data that the run began with.
        """
        known, count, labels = self.description["data"], len(data.train.labels), fingerprint(data)
        other = ""
        if known.get("classes") != list(data.classes):
            other = f"has other classes than when {self.folder.path} began"
        elif known.get("samples", count) != count:
            other = (
                f"has {count:,} images to train on; {self.folder.path} began with"
                f" {known['samples']:,}"
            )
        elif known.get("labels", labels) != labels:
            other = f"has other labels, or in another order, than when {self.folder.path} began"
        if other:
            raise UsageError(
                f"{data.name} {other}: --init {self.folder.path} starts a new run on them"
            )
        return replace(
            data,
            mean=tuple(known.get("mean", data.mean)),
            std=tuple(known.get("std", data.std)),
        )


def read_run(folder: RunWriter) -> Known:
    """A run from its folder. Raises `UsageError` if it is none, or its description is damaged."""
    found = here().from_first(lambda: folder.read_json("run.json"))
    return Known(folder, found, *folder.understood(found, _network_and_settings))


def _network_and_settings(known: dict[str, Any]) -> tuple[Architecture, dict[str, Any]]:
    if not isinstance(known["data"]["name"], str) or not isinstance(known["device"], str):
        raise TypeError
    return load(**known["network"]), dict(known["settings"])


def fingerprint(data: DataSet) -> str:
    """Of the labels to train on, in order: what is held out follows from them."""
    return f"{crc32(data.train.labels.numpy().tobytes()):08x}"


def _flat(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    for name, value in recipe.model_dump().items():
        if isinstance(value, dict):
            yield from ((f"{name}.{field}", inner) for field, inner in value.items())
        else:
            yield name, value


def _is_changeable(name: str) -> bool:
    return name in CHANGEABLE or name.partition(".")[0] in CHANGEABLE

"""The folder that a run begins in, or goes on in after torchrun has started its processes again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.errors import UsageError
from cnncalc.runs.folder import METRICS
from cnncalc.training.processes.processes import here
from cnncalc.training.run.checkpoints import read_last
from cnncalc.training.run.folder import RunWriter

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping


class Beginning(NamedTuple):
    """Where a run starts."""

    folder: RunWriter
    state: dict[str, Any] | None = None
    """Of the checkpoint it goes on from."""
    problems: tuple[str, ...] = ()
    """A message on each checkpoint that was damaged."""


def begin(
    name: str, output: str | os.PathLike[str] | None, description: Mapping[str, Any], device: str
) -> Beginning:
    """A new folder for all processes; after a restart the one that they had, and its state.

    Raises:
        UsageError: a run of something else is there already.
        OutputError: the folder cannot be made.
    """
    path = None if output is None else Path(output)
    return here().from_first(lambda: _begin(name, path, description, device))


def _begin(name: str, path: Path | None, description: Mapping[str, Any], device: str) -> Beginning:
    earlier = _before_the_restart(name, path, description) if here().restarts else None
    if earlier is None:
        folder = RunWriter.new(name, path)
        folder.describe(description, device)
        return Beginning(folder)
    try:
        state, problems = read_last(earlier.checkpoints)
    except UsageError as error:
        state, problems = None, [str(error)]
    earlier.keep_until(0 if state is None else state["step"])
    return Beginning(earlier, state, tuple(problems))


def _before_the_restart(
    name: str, path: Path | None, description: Mapping[str, Any]
) -> RunWriter | None:
    """The newest folder in which this very torchrun began the same run."""
    places = RunWriter.of_name(name) if path is None else [path]
    begun = [RunWriter(place) for place in places if (place / METRICS).exists()]
    begun.sort(key=lambda folder: (folder.path / METRICS).stat().st_ctime, reverse=True)
    same = json.loads(json.dumps(description))
    for folder in begun:
        try:
            about, known = folder.read_json("environment.json"), folder.read_json("run.json")
        except UsageError:
            continue
        agents = set(about.get("agents", ())) & set(here().agents)
        if agents and about.get("launch") == here().launch and known == same:
            return folder
    return None

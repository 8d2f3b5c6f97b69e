"""A saved run as a model again, with what it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.errors import UsageError, did_you_mean
from cnncalc.network.expansion import build_graph
from cnncalc.pytorch.compiler import compile_graph
from cnncalc.pytorch.initialization import seeded
from cnncalc.pytorch.rewriting import pool_before_activation
from cnncalc.pytorch.weights import put_weights
from cnncalc.runs.folder import RunFolder
from cnncalc.spec.loading import load
from cnncalc.training.run.checkpoints import BEST, read_checkpoint, read_last
from cnncalc.training.run.result import Run

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from torch import nn

    from cnncalc.network.graph import Graph
    from cnncalc.spec.architecture import Architecture

WEIGHTS = ("best", "last")


class TrainedOn(NamedTuple):
    """The data of a run: their name, classes, and mean and deviation of each channel."""

    name: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Saved:
    """A run as it was saved; its model is on the CPU and in evaluation mode."""

    path: Path
    network: Architecture
    graph: Graph
    settings: dict[str, Any]
    data: TrainedOn
    model: nn.Module
    weights: str
    """best or last."""
    step: int
    """Steps that the weights had been trained for."""
    problems: tuple[str, ...]
    """A message on each newer checkpoint, which is damaged."""


def open_run(run: Run | str | os.PathLike[str], weights: str | None = None) -> Saved:
    """Reads a run; `weights` are best or last, or the best if there are such.

    Raises:
        UsageError: this is no run, it has no such checkpoint yet, or that is damaged.
    """
    if weights is not None and weights not in WEIGHTS:
        hint = did_you_mean(weights, WEIGHTS)
        raise UsageError(f"there are no weights {weights!r}; {hint}")
    folder = RunFolder(run.folder if isinstance(run, Run) else Path(run))
    network, settings, rewrite, trained_on = folder.description(_described)
    graph = build_graph(network)
    chosen, state, problems = _state(folder, weights)
    with seeded(0):
        model = compile_graph(graph)
    if rewrite:
        pool_before_activation(model)
    if not isinstance(state, dict) or not isinstance(state.get("model"), dict):
        raise UsageError(f"{folder.checkpoints / chosen}.pt: the checkpoint holds no weights")
    _put(model, state, folder.checkpoints / f"{chosen}.pt")
    return Saved(
        folder.path,
        network,
        graph,
        settings,
        trained_on,
        model.eval(),
        chosen,
        int(state.get("step", 0)),
        tuple(problems),
    )


def _described(known: dict[str, Any]) -> tuple[Architecture, dict[str, Any], bool, TrainedOn]:
    data = known["data"]
    mean, std = (tuple(map(float, data[key])) for key in ("mean", "std"))
    trained_on = TrainedOn(str(data["name"]), tuple(map(str, data["classes"])), mean, std)
    network = load(**known["network"])
    return network, dict(known["settings"]), bool(known["rewrite"]), trained_on


def _state(folder: RunFolder, weights: str | None) -> tuple[str, dict[str, Any], list[str]]:
    """Which weights, the state that holds them, and what is wrong with newer ones."""
    best = folder.checkpoints / BEST
    if weights == "best" and not best.exists():
        raise UsageError(
            f"{folder.path}: there is no {BEST}: a run keeps one where it holds out data to choose"
            " it by (train --validation 0.1); use --weights last"
        )
    if weights != "last" and best.exists():
        try:
            return "best", read_checkpoint(best), []
        except UsageError as error:
            raise UsageError(f"{error}; use --weights last") from None
    state, problems = read_last(folder.checkpoints)
    if state is None:
        raise UsageError(f"{folder.path}: there is no checkpoint yet")
    return "last", state, problems


def _put(model: nn.Module, state: Mapping[str, Any], path: Path) -> None:
    """Weights of a checkpoint into the model; the averaged ones, where they are averaged."""
    try:
        model.load_state_dict(state["model"])
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UsageError(f"{path} does not fit the network of run.json: {reason}") from None
    average = state.get("average")
    if average is not None:
        put_weights(model, average["weights"])

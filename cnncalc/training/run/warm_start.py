"""A warm start: a new run that begins with the weights of another, or of a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from cnncalc.errors import UsageError
from cnncalc.pytorch.compiler import compile_graph
from cnncalc.pytorch.weights import left_over, load_weights, read_state, tensor_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from cnncalc.network.graph import Graph


class WarmStart(NamedTuple):
    """The weights that a run begins with."""

    source: str
    tensors: dict[str, Tensor]
    """By the network's own names."""
    anew: tuple[str, ...]
    """Tensors of the network that are not among them, and start as those of any new run."""

    def put(self, model: nn.Module) -> None:
        """Copies the weights into the network."""
        own = model.state_dict()
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                own[name].copy_(tensor.reshape(own[name].shape))


def warm_start(path: str | os.PathLike[str], graph: Graph, *, partial: bool = False) -> WarmStart:
    """The weights of a run (its best, else its last), a checkpoint, or a file with a state dict.

    `partial`: tensors of the network without a counterpart start anew.

    Raises:
        UsageError: they cannot be read, or do not fit the network; names the tensors.
    """
    state = _state(Path(path))
    with torch.device("meta"):
        model = compile_graph(graph)
    own, source = model.state_dict(), os.fspath(path)
    loaded = load_weights(model, state, strict=False)
    left = loaded.missing or loaded.unexpected
    if left and (not partial or not loaded.matched or loaded.exchangeable):
        text = left_over(loaded, own, state)
        may_start = loaded.matched and not loaded.exchangeable
        way_out = "; --init-partial starts those of the model anew" if may_start else ""
        raise UsageError(f"{source}: {text}{way_out}")
    tensors = {ours: tensor_of(state, theirs) for ours, theirs in loaded.matched.items()}
    return WarmStart(source, tensors, loaded.missing)


def _state(path: Path) -> Mapping[str, Tensor]:
    from cnncalc.training.run.saved import open_run

    if path.is_dir():
        return open_run(path).model.state_dict()
    of_run = path.parent.name == "checkpoints" and (path.parent.parent / "run.json").exists()
    if of_run and path.name in ("best.pt", "last.pt"):
        # Of averaged weights, last.pt holds both; the run knows which of them it speaks of.
        return open_run(path.parent.parent, path.stem).model.state_dict()
    return read_state(path)

"""`cnncalc.train`: one call from a network to a finished run."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from cnncalc.analysis import analyze_graph
from cnncalc.errors import UsageError
from cnncalc.expansion import build_graph
from cnncalc.loading import load
from cnncalc.pytorch.compiler import compile_graph
from cnncalc.pytorch.initialization import seeded
from cnncalc.pytorch.rewriting import pool_before_activation
from cnncalc.spec import Architecture
from cnncalc.training.batches import Preparer, TrainingBatches, mixed
from cnncalc.training.checkpoints import read_last
from cnncalc.training.data import DataSet, Split, load_data
from cnncalc.training.folder import RunFolder
from cnncalc.training.interruption import Interruption
from cnncalc.training.learner import Learner
from cnncalc.training.loop import Evaluated, Loop
from cnncalc.training.setting import Setting, choose_setting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cnncalc.graph import Graph
    from cnncalc.recipe import Recipe
    from cnncalc.training.loop import Progress


@dataclass(frozen=True)
class Plan:
    """All that a run will do, chosen and checked before it starts."""

    network: Architecture
    graph: Graph
    recipe: Recipe
    setting: Setting
    data: DataSet
    rewrite: bool = True

"""What a run will do: chosen, and checked, before it starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from cnncalc.analysis.analyze import analyze_graph
from cnncalc.errors import UsageError
from cnncalc.network.expansion import build_graph
from cnncalc.training.data import DataSet, Split, Stream
from cnncalc.training.data.of_recipe import read_data
from cnncalc.training.device import Setting, choose_setting
from cnncalc.training.options import RunOptions
from cnncalc.training.processes.processes import here, in_turn
from cnncalc.training.recipe_checks import check_data, check_recipe
from cnncalc.training.run.warm_start import WarmStart, warm_start
from cnncalc.wording import times

if TYPE_CHECKING:
    from cnncalc.analysis.summary import Totals
    from cnncalc.network.graph import Graph
    from cnncalc.spec.architecture import Architecture
    from cnncalc.spec.train_section import Recipe


MULTIPLY_ADDS = 500e9
"""Of a step, above which arithmetic hides the launches of its kernels on any GPU of today."""
BYTES = 2**31
"""Of activations, up to which a graph may keep memory of its own."""
DEFAULT = RunOptions()


@dataclass(frozen=True)
class Plan:
    """All that a run will do, chosen and checked before it starts."""

    network: Architecture
    graph: Graph
    recipe: Recipe
    setting: Setting
    data: DataSet
    options: RunOptions = DEFAULT
    start: WarmStart | None = None
    processes: int = 1

    @cached_property
    def totals(self) -> Totals:
        return analyze_graph(self.graph).totals

    @property
    def classes(self) -> int:
        return self.graph.shape_of(self.graph.output)[0]

    @property
    def placement(self) -> str:
        """Where the training images lie."""
        if isinstance(self.data.train, Stream):
            return "streamed"
        device = self.setting.device
        on_device = device.type != "cpu" and has_room(self.data.train, device)
        return f"held on {device}" if on_device else "held in memory"

    @property
    def steps_per_epoch(self) -> int:
        return self.recipe.steps_per_epoch(len(self.data.train.labels))

    @property
    def steps(self) -> int:
        return self.recipe.total_steps(self.steps_per_epoch)


@in_turn
def plan_run(
    network: Architecture,
    recipe: Recipe,
    options: RunOptions = DEFAULT,
    *,
    data: Any = None,
) -> Plan:
    """Chooses and checks everything; reads the data, and the weights to begin with.

    Raises:
        SpecError: the spec is wrong, or its output is no vector of scores.
        UsageError: network, data, weights and device do not go together.
    """
    if options.init_partial and options.init is None:
        raise UsageError("--init-partial belongs to --init")
    graph = build_graph(network)
    output = graph.shape_of(graph.output)
    if len(output) != 1:
        raise UsageError(
            f"{graph.name} gives {times(output)}, not one score a class;"
            " end it with flatten and linear"
        )
    check_recipe(recipe, graph)
    device = here().device(options.device)
    setting = choose_setting(recipe, device, graph.input_shape, compiled=options.compiled)
    found = read_data(recipe, graph, data)
    check_data(recipe, found)
    start = None
    if options.init is not None:
        start = warm_start(options.init, graph, partial=options.init_partial)
    plan = Plan(network, graph, recipe, setting, found, options, start, here().count)
    return replace(plan, setting=replace(setting, captured=is_captured(plan)))


def has_room(split: Split, device: torch.device) -> bool:
    """Whether the device has memory for a split, beside what training takes."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return split.images.nbytes <= free // 3


def is_captured(plan: Plan) -> bool:
    """Whether a run's steps are recorded; unless its options say, where they can be and are small.

    Raises:
        UsageError: it is wanted where it cannot be.
    """
    wanted = plan.options.cuda_graph
    if wanted is False:
        return False
    reason = _reason_against(plan)
    if wanted and reason:
        raise UsageError(f"--cuda-graph: {reason}; use --no-cuda-graph")
    return reason is None and (wanted or _is_small(plan))


def _reason_against(plan: Plan) -> str | None:
    if plan.setting.device.type != "cuda":
        return f"there are no such graphs on {plan.setting.device}"
    if plan.options.deterministic:
        return "with --deterministic a resumed run has to repeat each step as it was"
    reasons = {
        "several processes send each other their gradients within a step": plan.processes > 1,
        "a step is one batch, and train.accumulate makes it several": plan.recipe.accumulate > 1,
        "the loss of float16 is scaled anew at each step": plan.setting.precision == torch.float16,
        "a stream of images is slower than the launches": isinstance(plan.data.train, Stream),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _is_small(plan: Plan) -> bool:
    """Whether launches are what a step waits for. Backward is twice the work of forward."""
    totals, size = plan.totals, plan.recipe.batch_size
    return (
        3 * totals.multiply_adds * size <= MULTIPLY_ADDS and totals.activation_bytes * size <= BYTES
    )

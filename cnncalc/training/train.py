"""`cnncalc.train`: one call from a network to a finished run."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from cnncalc.errors import UsageError
from cnncalc.pytorch.compiler import compile_graph
from cnncalc.pytorch.initialization import seeded
from cnncalc.pytorch.rewriting import pool_before_activation
from cnncalc.spec.architecture import Architecture
from cnncalc.spec.loading import load
from cnncalc.training.data import DataSet, Split, Stream
from cnncalc.training.data.of_recipe import with_absolute_dir, with_name
from cnncalc.training.device import Setting
from cnncalc.training.feeding.batches import Preparer, TrainingBatches
from cnncalc.training.feeding.seeds import Draws
from cnncalc.training.feeding.workers import none_missed
from cnncalc.training.options import RunOptions, called_with
from cnncalc.training.outcome import summary_of
from cnncalc.training.plan import Plan, has_room, plan_run
from cnncalc.training.processes.interruption import interruption_of_all
from cnncalc.training.processes.processes import here, jointly
from cnncalc.training.processes.shared_layers import shared_layers
from cnncalc.training.run.checkpoints import read_last
from cnncalc.training.run.folder import RunWriter
from cnncalc.training.run.lock import alone_in
from cnncalc.training.run.restarting import Beginning, begin
from cnncalc.training.run.result import Run
from cnncalc.training.run.resuming import fingerprint, read_run
from cnncalc.training.run.tensorboard import board, check_tensorboard
from cnncalc.training.step.determinism import own_state
from cnncalc.training.step.evaluation import Evaluator
from cnncalc.training.step.fitting_batch import steps_of, within_memory
from cnncalc.training.step.learner import Learner
from cnncalc.training.step.loop import Callback, Evaluated, Loop
from cnncalc.training.step.out_of_memory import enough_memory
from cnncalc.training.step.plateau import Plateau
from cnncalc.training.step.progress import Progress

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from torch import nn

    from cnncalc.spec.train_section import Recipe


@dataclass(frozen=True)
class Given:
    """What `train` trains, and on what."""

    network: Architecture | str | os.PathLike[str] | Mapping[str, Any]
    _: KW_ONLY
    data: Any = None
    output: str | os.PathLike[str] | None = None
    settings: Mapping[str, Any] | None = None
    callback: Callback | None = None
    progress: Progress | None = None


@dataclass(frozen=True)
class Asked(RunOptions, Given):
    """What `train` is called with."""


@jointly
@called_with(Asked)
def train(asked: Asked) -> Run:
    """Trains a network as its `train:` section says, with `settings` such as {"epochs": 5} on top.

    `data`: tensors, a Dataset or a name, instead of what the recipe names. The run's folder is
    `output`, or runs/<name>-<time>. `callback` is called with each row of the metrics, a dict of
    numbers, once it is saved; False from it ends the run there, and what it raises comes out here.

    `init`: a run or a file whose weights to begin with; `init_partial`: what does not fit starts
    anew. `deterministic`: only algorithms that give the same bits each time. `cuda_graph`: replays
    each step as a CUDA graph; None, where that pays. `tensorboard`: writes events into the run's
    folder. `progress` is the command line's.

    Raises:
        SpecError: the spec is wrong.
        UsageError: network, data, weights and device do not go together, or a run is in `output`.
        TrainingError: the loss is not finite, or memory ran out.
        OutputError: the disk is full, or the folder cannot be written.
    """
    network = asked.network
    if not isinstance(network, Architecture):
        network = load(network)
    settings, data = with_name(asked.settings or {}, asked.data)
    settings = with_absolute_dir(settings, network)
    recipe = network.recipe(settings)
    if asked.tensorboard:
        check_tensorboard()
    with own_state(deterministic=asked.deterministic):
        plan = plan_run(network, recipe, asked, data=data)
        description = {
            "network": network.portable(),
            "settings": settings,
            **asked.described(),
            "recipe": recipe.model_dump(mode="json"),
            "data": described(plan.data),
            "init": plan.start and {"from": plan.start.source, "anew": plan.start.anew},
        }
        begun = begin(plan.graph.name, asked.output, description, str(plan.setting.device))
        with alone_in(begun.folder.path):
            return carry_out(plan, begun, asked.progress, asked.callback)


def described(data: DataSet) -> dict[str, Any]:
    """What run.json says of the data."""
    known = {key: getattr(data, key) for key in ("name", "classes", "mean", "std")}
    return known | {"samples": len(data.train.labels), "labels": fingerprint(data)}


@jointly
def resume(
    run: str | os.PathLike[str],
    *,
    data: Any = None,
    device: str | None = None,
    settings: Mapping[str, Any] | None = None,
    callback: Callback | None = None,
    deterministic: bool | None = None,
    cuda_graph: bool | None = None,
    tensorboard: bool | None = None,
    progress: Progress | None = None,
) -> Run:
    """Goes on with a run from its last checkpoint, as if it had never stopped.

    What is not given is as the run began; `settings` may change what `resuming.CHANGEABLE` names.

    Raises:
        UsageError: there is no run, no checkpoint that is whole, or a setting is fixed for a run.
        TrainingError, OutputError: as `train`.
    """
    known = read_run(RunWriter(Path(run)))
    folder, network = known.folder, known.network
    given, data = with_name(settings or {}, data)
    merged = here().from_first(lambda: known.changed(given))
    if data is None and known.has_own_data and "data.name" not in given:
        name = known.description["data"]["name"]
        raise UsageError(f"{folder.path} was trained on data of Python's, {name}: give it again")
    options = known.options(
        device=device, deterministic=deterministic, cuda_graph=cuda_graph, tensorboard=tensorboard
    )
    if options.tensorboard:
        check_tensorboard()
    state, problems = here().from_first(lambda: read_last(folder.checkpoints))
    if state is None:
        known.check_begins_anew()
    step = 0 if state is None else state["step"]
    with own_state(deterministic=options.deterministic), alone_in(folder.path):
        merged = with_absolute_dir(merged, network)
        recipe = network.recipe(merged)
        plan = plan_run(network, recipe, options, data=data)
        plan = replace(plan, data=known.as_begun(plan.data))
        if step > plan.steps:
            raise UsageError(
                f"{folder.path} is at step {step:,} already, of {plan.steps:,}: give more epochs or"
                " steps"
            )
        changes = {"settings": merged, "recipe": recipe.model_dump(mode="json")}
        now = known.description | changes | options.described()
        here().from_first(lambda: folder.go_on(now, step))
        return carry_out(plan, Beginning(folder, state, tuple(problems)), progress, callback)


def carry_out(
    plan: Plan,
    begun: Beginning,
    progress: Progress | None = None,
    callback: Callback | None = None,
) -> Run:
    """Trains as planned, from the beginning or from the state of a checkpoint."""
    recipe, setting, data = plan.recipe, plan.setting, plan.data
    torch.manual_seed(Draws.MODEL.seed(recipe.seed))
    prepare = Preparer(data.mean, data.std, plan.graph.input_shape, setting.memory_format)
    with enough_memory(setting.device):
        train, *evaluated = (
            placed(split, setting) for split in (data.train, data.validation, data.test)
        )
        assert train is not None
        batches = TrainingBatches(train, recipe, prepare, plan.classes, setting.device)
    watched = Progress() if progress is None or not here().is_first else progress

    def run() -> Run:
        with enough_memory(setting.device):
            learner = Learner(model_of(plan), recipe, setting, len(batches))
            if begun.state is not None:
                learner.restore(begun.state)
        return run_through(plan, begun, learner, batches, Evaluated(*evaluated), watched, callback)

    def anew(recipe: Recipe) -> Learner:
        return Learner(model_of(plan), recipe, replace(setting, captured=False), len(batches))

    with none_missed():
        return within_memory(run, batches, anew)


def model_of(plan: Plan) -> nn.Module:
    """The network, with the weights that it begins with."""
    seed = plan.graph.init.seed
    with seeded(plan.recipe.seed if seed is None else seed):
        model = compile_graph(plan.graph)
    if plan.start is not None:
        plan.start.put(model)
    if plan.options.rewrite:
        pool_before_activation(model)
    return model


def run_through(
    plan: Plan,
    begun: Beginning,
    learner: Learner,
    batches: TrainingBatches,
    evaluated: Evaluated,
    progress: Progress,
    callback: Callback | None,
) -> Run:
    """The run of a learner that is ready, to its end or until it is interrupted.

    Raises:
        NoMemoryError: memory ran out.
    """
    recipe, setting, folder, first = plan.recipe, plan.setting, begun.folder, here().is_first
    progress.begin(plan, folder.path, learner.step, begun.problems)
    evaluator = Evaluator.of_recipe(
        recipe, setting, batches.prepare, plan.classes, plan.totals.activation_bytes
    )
    plateau = Plateau(recipe, setting, plan.graph, plan.data.train.labels)
    model = learner.model
    with ExitStack() as stack:
        told: list[Callback] = [callback] if callback else []
        if plan.options.tensorboard and first:
            told.append(stack.enter_context(board(folder.path, learner.step)))
        stack.enter_context(shared_layers(model, setting.device, batch_norm=recipe.sync_batch_norm))
        interruption = stack.enter_context(interruption_of_all())
        loop = Loop(
            learner, batches, evaluator, evaluated, folder, interruption, plateau, progress, told
        )
        with steps_of(learner):
            finished = loop.run()
    if finished and first:
        folder.write_json("summary.json", summary_of(plan, folder, learner))
    signal = 0 if finished else interruption.noticed()
    return Run(folder.path, model, finished, signal, here().from_first(folder.rows))


def placed(split: Split | Stream | None, setting: Setting) -> Split | Stream | None:
    """A split in memory, on the training device if it has room."""
    if not isinstance(split, Split) or not has_room(split, setting.device):
        return split
    return Split(split.images.to(setting.device), split.labels.to(setting.device))

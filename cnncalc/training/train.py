"""`cnncalc.train`: one call from a network to a finished run."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
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
from cnncalc.training.outcome import summary_of
from cnncalc.training.plan import Plan, has_room, plan_run
from cnncalc.training.processes.interruption import interruption_of_all
from cnncalc.training.processes.processes import here, jointly
from cnncalc.training.processes.shared_layers import shared_layers
from cnncalc.training.run.checkpoints import read_last
from cnncalc.training.run.folder import RunWriter
from cnncalc.training.run.lock import alone_in
from cnncalc.training.run.restarting import begin
from cnncalc.training.run.result import Run
from cnncalc.training.run.resuming import fingerprint, read_run
from cnncalc.training.run.tensorboard import board, check_tensorboard
from cnncalc.training.step.determinism import own_state
from cnncalc.training.step.fitting_batch import evaluated_at_once, within_memory
from cnncalc.training.step.learner import Learner
from cnncalc.training.step.loop import Callback, Evaluated, Loop, Progress
from cnncalc.training.step.out_of_memory import enough_memory
from cnncalc.training.step.plateau import Plateau, Standstill

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence


class Silent:
    """Watches a run and says nothing."""

    def begin(self, plan: Plan, folder: Path, step: int, problems: Sequence[str]) -> None: ...

    def step(self, step: int, loss: float, accuracy: float, images: int) -> None: ...

    def epoch(self, row: Mapping[str, Any]) -> None: ...

    def stale(self, evaluations: int) -> None: ...

    def standing(self, standstill: Standstill) -> None: ...


@jointly
def train(
    network: Architecture | str | os.PathLike[str] | Mapping[str, Any],
    *,
    data: Any = None,
    device: str = "auto",
    output: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    callback: Callback | None = None,
    init: str | os.PathLike[str] | None = None,
    init_partial: bool = False,
    deterministic: bool = False,
    tensorboard: bool = False,
    progress: Progress | None = None,
    rewrite: bool = True,
    compiled: bool = False,
    cuda_graph: bool | None = None,
) -> Run:
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
    if not isinstance(network, Architecture):
        network = load(network)
    settings, data = with_name(settings or {}, data)
    settings = with_absolute_dir(settings, network)
    recipe = network.recipe(settings)
    if tensorboard:
        check_tensorboard()
    with own_state(deterministic=deterministic):
        plan = plan_run(
            network,
            recipe,
            data=data,
            device=device,
            rewrite=rewrite,
            compiled=compiled,
            cuda_graph=cuda_graph,
            deterministic=deterministic,
            init=init,
            init_partial=init_partial,
        )
        description = {
            "network": network.portable(),
            "settings": settings,
            "device": device,
            "rewrite": rewrite,
            "compiled": compiled,
            "cuda_graph": cuda_graph,
            "deterministic": deterministic,
            "tensorboard": tensorboard,
            "recipe": recipe.model_dump(mode="json"),
            "data": described(plan.data),
            "init": plan.start and {"from": plan.start.source, "anew": plan.start.anew},
        }
        begun = begin(plan.graph.name, output, description, str(plan.setting.device))
        with alone_in(begun.folder.path):
            return carry_out(
                plan,
                begun.folder,
                progress or Silent(),
                begun.state,
                begun.problems,
                callback=callback,
                tensorboard=tensorboard,
            )


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
    chosen = {
        "device": known.option("device", device),
        "deterministic": bool(known.option("deterministic", deterministic)),
        "cuda_graph": known.option("cuda_graph", cuda_graph),
        "tensorboard": bool(known.option("tensorboard", tensorboard)),
    }
    if chosen["tensorboard"]:
        check_tensorboard()
    state, problems = here().from_first(lambda: read_last(folder.checkpoints))
    if state is None:
        known.check_begins_anew()
    step = 0 if state is None else state["step"]
    with own_state(deterministic=chosen["deterministic"]), alone_in(folder.path):
        merged = with_absolute_dir(merged, network)
        recipe = network.recipe(merged)
        plan = plan_run(
            network,
            recipe,
            data=data,
            device=chosen["device"],
            rewrite=known.option("rewrite"),
            compiled=known.option("compiled"),
            cuda_graph=chosen["cuda_graph"],
            deterministic=chosen["deterministic"],
        )
        plan = replace(plan, data=known.as_begun(plan.data))
        if step > plan.steps:
            raise UsageError(
                f"{folder.path} is at step {step:,} already, of {plan.steps:,}: give more epochs or"
                " steps"
            )
        changes = {"settings": merged, "recipe": recipe.model_dump(mode="json"), **chosen}
        now = known.description | changes
        here().from_first(lambda: folder.go_on(now, step))
        return carry_out(
            plan,
            folder,
            progress or Silent(),
            state,
            problems,
            callback=callback,
            tensorboard=chosen["tensorboard"],
        )


def carry_out(
    plan: Plan,
    folder: RunWriter,
    progress: Progress,
    state: Mapping[str, Any] | None = None,
    problems: Sequence[str] = (),
    *,
    callback: Callback | None = None,
    tensorboard: bool = False,
) -> Run:
    """Trains as planned, from the beginning or from the state of a checkpoint."""
    recipe, setting, data = plan.recipe, plan.setting, plan.data
    first = here().is_first
    progress = progress if first else Silent()
    torch.manual_seed(Draws.MODEL.seed(recipe.seed))
    seed = plan.graph.init.seed
    with seeded(recipe.seed if seed is None else seed):
        model = compile_graph(plan.graph)
    if plan.start is not None:
        plan.start.put(model)
    if plan.rewrite:
        pool_before_activation(model)
    prepare = Preparer(data.mean, data.std, plan.graph.input_shape, setting.memory_format)
    with enough_memory(setting.device):
        train, validation, test = (
            placed(split, setting) for split in (data.train, data.validation, data.test)
        )
        assert train is not None
        batches = TrainingBatches(train, recipe, prepare, plan.classes, setting.device)
        learner = Learner(model, recipe, setting, len(batches))
        if state is not None:
            learner.restore(state)
    progress.begin(plan, folder.path, learner.step, problems)
    with ExitStack() as stack:
        told: list[Callback] = [callback] if callback else []
        if tensorboard and first:
            told.append(stack.enter_context(board(folder.path, learner.step)))
        stack.enter_context(shared_layers(model, setting.device, batch_norm=recipe.sync_batch_norm))
        stack.enter_context(none_missed())
        interruption = stack.enter_context(interruption_of_all())
        loop = Loop(
            learner,
            batches,
            Evaluated(validation, test),
            folder,
            progress,
            interruption,
            Plateau(plan.recipe, plan.setting, plan.graph, plan.data.train.labels),
            told,
            evaluated_at_once(plan.totals.activation_bytes, recipe.batch_size),
        )
        finished = within_memory(loop.run, learner, batches)
    if finished and first:
        folder.write_json("summary.json", summary_of(plan, folder, learner))
    signal = 0 if finished else interruption.noticed()
    return Run(folder.path, model, finished, signal, here().from_first(folder.rows))


def placed(split: Split | Stream | None, setting: Setting) -> Split | Stream | None:
    """A split in memory, on the training device if it has room."""
    if not isinstance(split, Split) or not has_room(split, setting.device):
        return split
    return Split(split.images.to(setting.device), split.labels.to(setting.device))

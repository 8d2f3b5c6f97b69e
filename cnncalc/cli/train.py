"""`cnncalc train`."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated, Any

import typer

from cnncalc.cli.options import Input, Variant, complete_spec, load_spec, parse_settings
from cnncalc.cli.output import say, warn, write
from cnncalc.errors import UsageError
from cnncalc.training.processes.processes import is_first


def _field(name: str, metavar: str, help_text: str) -> Any:
    return typer.Option(f"--{name}", metavar=metavar, help=help_text, show_default=False)


def train(
    spec: Annotated[
        str | None,
        typer.Argument(
            help="A file, - for standard input, or a bundled network or variant.",
            metavar="SPEC",
            autocompletion=complete_spec,
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None, _field("data", "NAME", "digits, mnist, cifar10, imagefolder, npz or another.")
    ] = None,
    data_dir: Annotated[
        str | None, _field("data-dir", "DIR", "Where the data lie already.")
    ] = None,
    epochs: Annotated[float | None, _field("epochs", "N", "Passes over the data.")] = None,
    steps: Annotated[int | None, _field("steps", "N", "Steps in all, instead of epochs.")] = None,
    batch_size: Annotated[int | None, _field("batch-size", "N", "Images a step.")] = None,
    lr: Annotated[float | None, _field("lr", "RATE", "The learning rate.")] = None,
    validation: Annotated[
        float | None, _field("validation", "SHARE", "Training data held out to choose the best.")
    ] = None,
    precision: Annotated[
        str | None, _field("precision", "NAME", "auto, float32, bfloat16 or float16.")
    ] = None,
    seed: Annotated[
        int | None, _field("seed", "N", "Of weights, shuffling and augmentation.")
    ] = None,
    device: Annotated[
        str | None, _field("device", "NAME", "auto, cpu, cuda, cuda:1 or mps; auto if not given.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="The run's folder, else runs/NAME-TIME."
        ),
    ] = None,
    resume: Annotated[
        Path | None, _field("resume", "RUN", "Go on with this run; no SPEC is needed.")
    ] = None,
    init: Annotated[
        Path | None,
        _field("init", "CHECKPOINT", "Begin with the weights of a run or of a .pt file."),
    ] = None,
    init_partial: Annotated[
        bool, typer.Option("--init-partial", help="Start anew what --init does not fit.")
    ] = False,
    rewrite: Annotated[
        bool | None,
        typer.Option(
            "--rewrite/--no-rewrite", help="Max pools before their activations; done if not given."
        ),
    ] = None,
    compiled: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="Run under torch.compile.")
    ] = None,
    cuda_graph: Annotated[
        bool | None,
        typer.Option(
            "--cuda-graph/--no-cuda-graph",
            help="Launch all kernels of a step at once; done for small steps if not given.",
        ),
    ] = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same bits each time, on CUDA too.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write TensorBoard's events into the folder.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would happen, and stop.")
    ] = False,
    input_shape: Input = None,
    variant: Variant = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A parameter of the network, or a field of the recipe: train.clip=1.",
        ),
    ] = None,
) -> None:
    """Train a network as its train: section says.

    Writes a folder with metrics and checkpoints. Ctrl-C saves; --resume goes on with the run,
    --init begins a new one with the weights of another.

    \b
    Examples:
      cnncalc train lenet.yaml --data digits --epochs 15
      cnncalc train lenet.yaml --data mnist --set train.optimizer.lr=0.25
      cnncalc train --resume runs/lenet-20261121-101500
    """  # noqa: D301 - \b keeps typer from filling the lines
    from cnncalc.cli.progress import describe, watcher
    from cnncalc.training import train as api
    from cnncalc.training.plan import plan_run

    chosen = {
        "data.name": data,
        "data.dir": data_dir,
        "data.validation": validation,
        "optimizer.lr": lr,
        "epochs": epochs,
        "steps": steps,
        "batch_size": batch_size,
        "precision": precision,
        "seed": seed,
    }
    recipe_settings, others = parse_settings(settings)
    recipe_settings |= {name: value for name, value in chosen.items() if value is not None}
    gc.enable()  # unlike a table, a run lasts
    progress = watcher(quiet=quiet)
    try:
        if resume is not None:
            _check_stands_alone(
                {
                    "SPEC": spec,
                    "--set of a parameter": others,
                    "--variant": variant,
                    "--input": input_shape,
                    "--output": output,
                    "--init": init,
                    "--init-partial": init_partial or None,
                    "--rewrite": rewrite,
                    "--compile": compiled,
                    "--dry-run": dry_run or None,
                }
            )
            run = api.resume(
                resume,
                device=device,
                settings=recipe_settings,
                deterministic=deterministic or None,
                cuda_graph=cuda_graph,
                tensorboard=tensorboard or None,
                progress=progress,
            )
        elif spec is None:
            raise UsageError("give a SPEC to train, or --resume RUN")
        else:
            network = load_spec(spec, variant, others, input_shape)
            where: dict[str, Any] = {
                "device": device or "auto",
                "rewrite": rewrite is not False,
                "compiled": compiled or False,
                "cuda_graph": cuda_graph,
                "deterministic": deterministic,
                "init": init,
                "init_partial": init_partial,
            }
            if dry_run:
                plan = plan_run(network, network.recipe(recipe_settings), **where)
                if is_first():
                    write(describe(plan))
                return
            run = api.train(
                network,
                output=output,
                settings=recipe_settings,
                tensorboard=tensorboard,
                progress=progress,
                **where,
            )
    finally:
        progress.close()
    if not run.finished:
        if is_first():
            import shlex

            folder = shlex.quote(str(run.folder))
            warn(f"saved; go on with: cnncalc train --resume {folder}")
        raise typer.Exit(128 + run.signal)
    if not quiet and is_first():
        say(str(run.folder))


def _check_stands_alone(of_a_new_run: dict[str, Any]) -> None:
    given = [name for name, value in of_a_new_run.items() if value not in (None, [], {})]
    if given:
        raise UsageError(
            f"--resume goes on with a run as it was: {given[0]} cannot stand beside it"
        )

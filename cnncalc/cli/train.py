"""`cnncalc train`."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import contextmanager
from dataclasses import fields
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnncalc.cli.options import Input, Variant, complete_spec, load_spec, parse_settings
from cnncalc.cli.output import say, warn, write
from cnncalc.errors import CnncalcError, LostError, UsageError, torch_is_missing
from cnncalc.training.options import RunOptions
from cnncalc.training.processes.processes import is_first, says

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def run_options() -> Iterator[Parameter]:
    """An option for each of `RunOptions` but the device; None where it is not given."""
    for each in fields(RunOptions):
        about = each.metadata
        if not about:
            continue
        kind = bool if about["metavar"] is None else Path
        option = typer.Option(
            None, about["flag"], metavar=about["metavar"], help=about["text"], show_default=False
        )
        yield Parameter(each.name, Parameter.KEYWORD_ONLY, default=option, annotation=kind | None)


def flag_of(name: str) -> str:
    """How an option of a run is written: --compile."""
    (flag,) = (each.metadata["flag"] for each in fields(RunOptions) if each.name == name)
    return str(flag).partition("/")[0]


def with_run_options(below: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command that takes them as `**options`, and shows them below its own option `below`."""

    def of(command: Callable[..., None]) -> Callable[..., None]:
        known = signature(command, eval_str=True)
        shown: list[Parameter] = []
        for parameter in known.parameters.values():
            if parameter.kind is Parameter.VAR_KEYWORD:
                continue
            shown.append(parameter.replace(kind=Parameter.KEYWORD_ONLY))
            if parameter.name == below:
                shown += run_options()
        command.__signature__ = known.replace(parameters=shown)  # type: ignore[attr-defined]
        return command

    return of


@contextmanager
def one_speaks() -> Iterator[None]:
    """Within, what goes wrong is said by one process of several, with its number."""
    try:
        yield
    except CnncalcError as error:
        if says(error):
            warn(f"process {error.process}: {error}" if error.process else str(error))
        if isinstance(error, LostError):
            os._exit(error.exit_status)  # to be torn down, it would wait for the others
        sys.exit(error.exit_status)


def _field(name: str, metavar: str, help_text: str) -> Any:
    return typer.Option(f"--{name}", metavar=metavar, help=help_text, show_default=False)


@with_run_options(below="resume")
@one_speaks()
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
    **options: Any,
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
    try:
        from cnncalc.cli.progress import describe, watcher
        from cnncalc.training import train as api
        from cnncalc.training.plan import plan_run
    except ModuleNotFoundError as error:
        raise torch_is_missing(error, "train") from None

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
    given = {name: value for name, value in options.items() if value is not None}
    if device is not None:
        given["device"] = device
    gc.enable()  # unlike a table, a run lasts
    progress = watcher(quiet=quiet)
    try:
        if resume is not None:
            anew = signature(api.resume).parameters
            _check_stands_alone(
                {
                    "SPEC": spec,
                    "--set of a parameter": others,
                    "--variant": variant,
                    "--input": input_shape,
                    "--output": output,
                    **{flag_of(name): given[name] for name in given if name not in anew},
                    "--dry-run": dry_run or None,
                }
            )
            run = api.resume(resume, settings=recipe_settings, progress=progress, **given)
        elif spec is None:
            raise UsageError("give a SPEC to train, or --resume RUN")
        else:
            network = load_spec(spec, variant, others, input_shape)
            if dry_run:
                plan = plan_run(network, network.recipe(recipe_settings), RunOptions(**given))
                if is_first():
                    write(describe(plan))
                return
            run = api.train(
                network, output=output, settings=recipe_settings, progress=progress, **given
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

"""What several commands take: the spec, and how it is varied."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnncalc.errors import UsageError, did_you_mean, shorten
from cnncalc.wording import either

if TYPE_CHECKING:
    from cnncalc.spec.architecture import Architecture


def complete_name(incomplete: str) -> list[str]:
    """Bundled networks and variants, for shell completion."""
    from cnncalc.spec import bundled

    return [name for name in bundled.names() if name.startswith(incomplete)]


def complete_spec(incomplete: str) -> list[str]:
    """Bundled names and the specs of this folder; shells complete other paths by themselves."""
    files = [name for name in os.listdir() if name.endswith((".yaml", ".yml"))]  # noqa: PTH208
    return [
        *complete_name(incomplete),
        *(name for name in sorted(files) if name.startswith(incomplete)),
    ]


def complete_run(incomplete: str) -> list[str]:
    """Folders of runs below ./runs; shells complete other paths by themselves."""
    found = sorted(f"runs/{name}" for name in os.listdir("runs")) if os.path.isdir("runs") else []  # noqa: PTH112, PTH208
    return [name for name in found if name.startswith(incomplete)]


Spec = Annotated[
    str,
    typer.Argument(
        help="A file, - for standard input, or a bundled network or variant.",
        metavar="SPEC",
        autocompletion=complete_spec,
        show_default=False,
    ),
]
Variant = Annotated[
    str | None,
    typer.Option("--variant", metavar="NAME", help="A variant that the file names."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A parameter of the network, as YAML; may be repeated.",
    ),
]
Input = Annotated[
    str | None,
    typer.Option("--input", metavar="SHAPE", help="Another input shape, such as 3x256x256."),
]
RunFolder = Annotated[
    Path,
    typer.Argument(
        help="The folder of a run.", metavar="RUN", autocompletion=complete_run, show_default=False
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights", metavar="NAME", help="best or last; the best if there are such, else the last."
    ),
]
Device = Annotated[
    str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.")
]
REPORTED_AS = ("table", "json")
Format = Annotated[
    str,
    typer.Option("--format", "-f", metavar="FORMAT", help=f"{either(REPORTED_AS)}."),
]


def wants_json(format: str) -> bool:  # noqa: A002 - the option's own word
    """Whether a report is asked for as JSON, not as a table. Raises `UsageError`."""
    if format not in REPORTED_AS:
        raise UsageError(f"there is no format {format!r}; {did_you_mean(format, REPORTED_AS)}")
    return format == "json"


def load_spec(
    spec: str,
    variant: str | None = None,
    settings: list[str] | None = None,
    input_shape: str | None = None,
) -> Architecture:
    """The network that the arguments of a command describe."""
    from cnncalc.spec.loading import load

    parameters = dict(map(_parse_setting, settings or ()))
    return load(spec, variant=variant, parameters=parameters, input=input_shape)


def parse_settings(settings: list[str] | None) -> tuple[dict[str, Any], list[str]]:
    """Those of `--set` that are fields of the recipe, `train.…`, parsed; and the others."""
    found = [text for text in settings or () if text.strip().startswith("train.")]
    others = [text for text in settings or () if text not in found]
    for text in others:
        section, dot, _ = text.partition("=")[0].strip().partition(".")
        if dot and _is_of_the_recipe(section):
            raise UsageError(f"--set {text}: did you mean --set train.{text.strip()}?")
    return {key.removeprefix("train."): value for key, value in map(_parse_setting, found)}, others


def _is_of_the_recipe(name: str) -> bool:
    from cnncalc.spec.train_section import Recipe

    return name in Recipe.model_fields


def _parse_setting(text: str) -> tuple[str, Any]:
    from cnncalc.spec.yaml import parse_value

    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {shorten(text)} is not KEY=VALUE; write --set classes=10")
    return key.strip(), parse_value(value, f"--set {key.strip()}")

"""The commands by name. Each is imported, and its options built, when it is asked for.

The options of all would take as long to build as a small table takes to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = {
    "summarize": "summarize.summarize",
    "train": "train.train",
    "evaluate": "evaluate.evaluate",
    "predict": "predict.predict",
    "runs": "runs.list_runs",
    "plot": "plot.plot",
    "list": "networks.list_networks",
    "show": "networks.show",
    "verify": "verify.verify",
    "export": "export.export",
    "import": "import_.import_network",
    "schema": "schema.schema",
}
"""The function of each, in the order of the help."""


class Commands(Mapping[str, Any]):
    """Typer's object of each command."""

    def __iter__(self) -> Iterator[str]:
        return iter(FUNCTIONS)

    def __len__(self) -> int:
        return len(FUNCTIONS)

    def __getitem__(self, name: str) -> Any:
        return _command(name, FUNCTIONS[name])


class Group(TyperGroup):
    """All of them behind `cnncalc`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "commands": Commands()})


@cache
def _command(name: str, path: str) -> Any:
    module, function = path.split(".")
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name)(getattr(import_module(f"cnncalc.cli.{module}"), function))
    return get_command(alone)

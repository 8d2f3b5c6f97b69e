"""Layers of other packages: those that their entry points of the group `cnncalc.layers` name.

An entry point is a module that defines layers, `glu = "my_package.layers"`, or one of its classes.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from cnncalc.errors import UsageError, reason_of
from cnncalc.layers.base import REGISTRY

GROUP = "cnncalc.layers"


@cache
def load() -> None:
    """Registers the layers of every package that is installed. Ours must be registered before.

    Raises:
        UsageError: a package cannot be imported, or has a kind that another has.
    """
    for entry in entry_points(group=GROUP):
        before = {*REGISTRY}
        try:
            with redirect_stdout(sys.stderr):
                entry.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - another's code
            for kind in {*REGISTRY} - before:
                del REGISTRY[kind]
            raise UsageError(
                f"{_package(entry)} adds layers that cannot be loaded, {entry.name} ="
                f" {entry.value}: {reason_of(error)}; update the package, or uninstall it"
            ) from None


def _package(entry: EntryPoint) -> str:
    """`my_package 1.0`."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else f"a package of {GROUP}"

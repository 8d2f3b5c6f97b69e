"""Makes what the tests start answer as they do: Python runs this first, where PYTHONPATH names it.

`pytest --bfloat16=yes` stands for a processor that has units for bfloat16, `no` for one that has
none, whatever the processor. The answer is put into `cnncalc.training.device` once that is
imported, so that what needs no torch still loads none; cnncalc itself knows nothing of it.
"""

from __future__ import annotations

import functools
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

MODULE = "cnncalc.training.device"
VARIABLE = "CNNCALC_TESTS_BFLOAT16"


class Imitation:
    """A finder that changes one module when it is imported."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name == MODULE else None
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: self.change(execute, module)  # type: ignore[method-assign]
        return spec

    def change(self, execute: Any, module: Any) -> None:
        execute(module)
        detected = module.has_bfloat16

        @functools.wraps(detected)
        def has_bfloat16(device: Any) -> bool:
            return self.answer if device.type == "cpu" else detected(device)

        module.has_bfloat16 = has_bfloat16


def imitate(answer: str) -> None:
    """From here on, in this process and in those that find this file by their PYTHONPATH."""
    os.environ[VARIABLE] = answer
    sys.meta_path.insert(0, Imitation(answer == "yes"))


if VARIABLE in os.environ and __name__ == "sitecustomize":
    imitate(os.environ[VARIABLE])

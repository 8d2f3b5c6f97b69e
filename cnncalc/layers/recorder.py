"""Writes what a layer would build: `nn.Conv2d(1, 32, kernel_size=5)`, without PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cnncalc.layers.base import Layer, Shape


class Recorder:
    """Stands in for `torch.nn`: a call of `nn.Conv2d(…)` returns what `make` makes of it."""

    def __init__(self, make: Callable[[str, Sequence[Any], Mapping[str, Any]], Any]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **options: self._make(name, args, options)


def _write(name: str, args: Sequence[Any], options: Mapping[str, Any]) -> str:
    written = [repr(arg) for arg in args]
    written += [f"{key}={value!r}" for key, value in options.items()]
    return f"nn.{name}({', '.join(written)})"


_RECORDER = Recorder(_write)


def record(layer: Layer, shapes: tuple[Shape, ...]) -> str:
    """The source text of `layer` at these input shapes."""
    return str(layer.build(_RECORDER, *shapes))

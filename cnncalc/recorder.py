"""Writes what a layer would build: `nn.Conv2d(1, 32, kernel_size=5)`, without PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnncalc.layers.base import Layer, Shape


class Recorder:
    """Stands in for `torch.nn`: every call returns the text of itself."""

    def __getattr__(self, name: str) -> Callable[..., str]:
        def call(*args: Any, **options: Any) -> str:
            written = [repr(arg) for arg in args]
            written += [f"{key}={value!r}" for key, value in options.items()]
            return f"nn.{name}({', '.join(written)})"

        return call


_RECORDER = Recorder()


def record(layer: Layer, shapes: tuple[Shape, ...]) -> str:
    """The source text of `layer` at these input shapes."""
    return str(layer.build(_RECORDER, *shapes))

"""A module, or the function that makes one -> an exported program, without weights.

Weights are never given memory: tensors that a constructor makes are on PyTorch's meta device,
which has shapes and no numbers, and are traced as fake ones of the CPU: what the network computes
of plain numbers is kept.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr
from inspect import Parameter, signature
from numbers import Integral
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from cnncalc.errors import UsageError, reason_of, shorten
from cnncalc.pytorch.quiet import quiet
from cnncalc.wording import write_shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.export import ExportedProgram

BATCH = 1009
"""Samples that are traced; nothing is computed. A prime that no network's own sizes hold: what it
divides has the batch in it."""
_MAKERS = frozenset(
    (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.normal)
)


class _WithoutMemory(TorchFunctionMode):
    """Puts on the meta device what constructors fill; numbers that they compute stay numbers."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _MAKERS and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def make(factory: Callable[..., Any], arguments: dict[str, Any], source: str) -> nn.Module:
    """The module that a function makes, without memory for its weights where that can be.

    Raises:
        UsageError: it does not take the arguments, fails, or makes no module.
    """
    try:
        with quiet():
            made = _made(factory, arguments)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise UsageError(f"{source}: called with ({given}), it raises {reason_of(error)}") from None
    if not isinstance(made, nn.Module):
        raise UsageError(f"{source}: makes {a_thing(made)}, not a torch.nn.Module")
    _refuse_lazy(made, source)
    with FakeTensorMode(allow_non_fake_inputs=True):
        _make_fake(made)
    return made


def _made(factory: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """What it makes; with memory for its weights if it fails without, as they have no numbers."""
    try:
        with _WithoutMemory():
            return factory(**arguments)
    except (NotImplementedError, RuntimeError, TypeError):
        return factory(**arguments)


def _make_fake(made: nn.Module) -> None:
    """As `to_empty`, which stumbles over a layer or tensor under two names."""
    kept: dict[int, tuple[Any, Any]] = {}
    for module in made.modules():
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is None:
                    continue
                if id(tensor) not in kept:
                    empty = torch.empty_like(tensor, device="cpu")
                    if isinstance(tensor, nn.Parameter):
                        empty = nn.Parameter(empty, requires_grad=tensor.requires_grad)
                    kept[id(tensor)] = (tensor, empty)  # the first, so that its id stays its own
                held[name] = kept[id(tensor)][1]


def _refuse_lazy(module: nn.Module, source: str) -> None:
    if any(map(is_lazy, (*module.parameters(), *module.buffers()))):
        raise UsageError(f"{source}: has parameters without a shape; use it once first")


def _refuse_several_inputs(module: nn.Module, source: str) -> None:
    try:
        taken = signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    needed = [each.name for each in taken if each.kind in kinds and each.default is each.empty]
    if len(needed) > 1:
        names = ", ".join(needed)
        raise UsageError(
            f"{source}: a network has one input; this one takes {len(needed)}: {names}"
        )


def a_thing(value: Any) -> str:
    """`an int`, `a str`: what a value is."""
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def trace(
    module: nn.Module, input_shape: Sequence[int], source: str, *, hint: str = ""
) -> ExportedProgram:
    """The program of a module in evaluation, for inputs of (N, *input_shape).

    Nothing is computed, and the module is left as it was. `hint` ends the message of a module that
    cannot be followed.

    Raises:
        UsageError: it is no module, the shape is none, or torch.export cannot follow it.
    """
    if not isinstance(module, nn.Module):
        what = f"the class {module.__name__}" if isinstance(module, type) else a_thing(module)
        raise UsageError(f"{source}: is {what}, not a torch.nn.Module")
    _refuse_lazy(module, source)
    _refuse_several_inputs(module, source)
    if not _is_shape(input_shape):
        raise UsageError(
            f"{source}: {shorten(input_shape)} is no shape of one sample, such as (3, 224, 224)"
        )
    training = {each: each.training for each in module.modules()}
    first = next(iter((*module.parameters(), *module.buffers())), None)
    device = torch.device("cpu") if first is None else first.device
    dtype = torch.float32 if first is None or not first.is_floating_point() else first.dtype
    with first.fake_mode if isinstance(first, FakeTensor) else nullcontext():
        x = torch.zeros((), dtype=dtype, device=device).expand(BATCH, *input_shape)
    try:
        with quiet(), redirect_stderr(io.StringIO()), torch.no_grad():
            return torch.export.export(module.eval(), (x,))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a module can make it raise
        shape = write_shape(input_shape)
        raise UsageError(
            f"{source}: torch.export cannot follow it on {shape}: {reason_of(error)}"
            + (f"; {hint}" if hint else "")
        ) from None
    finally:
        for each, was in training.items():
            each.training = was


def _is_shape(value: Any) -> bool:
    """Whether it is a list or tuple of whole numbers above 0."""
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        return False
    return all(isinstance(size, Integral) and int(size) > 0 for size in value)

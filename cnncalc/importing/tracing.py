"""A module, the function that makes one, or a .pt2 file -> an exported program, without weights.

Weights are never given memory: tensors that a constructor makes are on PyTorch's meta device,
which has shapes and no numbers, and are traced as fake ones of the CPU: what the network computes
of plain numbers is kept.
"""

from __future__ import annotations

import logging
import pickle
import warnings
import zipfile
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode

from cnncalc.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch.export import ExportedProgram

BATCH = 2
"""Samples that are traced: of one, an axis would be taken for the batch where it is not."""
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
    with _quiet():
        try:
            with _WithoutMemory():
                made = factory(**arguments)
        except (NotImplementedError, RuntimeError):  # it computes with the weights
            made = _made(factory, arguments, source)
        except Exception:  # noqa: BLE001 - said below, where it fails again
            made = _made(factory, arguments, source)
    if not isinstance(made, nn.Module):
        raise UsageError(f"{source}: makes a {type(made).__name__}, not a torch.nn.Module")
    with FakeTensorMode(allow_non_fake_inputs=True):
        return made.to_empty(device="cpu")


def _made(factory: Callable[..., Any], arguments: dict[str, Any], source: str) -> Any:
    try:
        return factory(**arguments)
    except Exception as error:  # noqa: BLE001 - the user's own code
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise UsageError(f"{source}: called with ({given}), it raises {_reason(error)}") from None


def trace(module: nn.Module, input_shape: Sequence[int], source: str) -> ExportedProgram:
    """The program of a module in evaluation, for inputs of (N, *input_shape).

    Nothing is computed, and the module is left as it was.

    Raises:
        UsageError: torch.export cannot follow it.
    """
    training = {each: each.training for each in module.modules()}
    first = next(iter((*module.parameters(), *module.buffers())), None)
    device = torch.device("cpu") if first is None else first.device
    dtype = torch.float32 if first is None or not first.is_floating_point() else first.dtype
    with first.fake_mode if isinstance(first, FakeTensor) else nullcontext():
        x = torch.zeros((), dtype=dtype, device=device).expand(BATCH, *input_shape)
    try:
        with _quiet(), torch.no_grad():
            return torch.export.export(module.eval(), (x,))
    except Exception as error:  # noqa: BLE001 - whatever a module can make it raise
        shape = "×".join(map(str, input_shape))
        raise UsageError(
            f"{source}: torch.export cannot follow it on {shape}: {_reason(error)}"
        ) from None
    finally:
        for each, was in training.items():
            each.training = was


def read_file(file: str) -> ExportedProgram:
    """The program in a `.pt2`, which is data: what would run code is refused.

    Raises:
        UsageError: there is none.
    """
    try:
        with _quiet(), _tensors_only():
            return torch.export.load(file)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # noqa: BLE001 - whatever a damaged file can make it raise
        what = "holds no program of torch.export" if zipfile.is_zipfile(file) else "is no .pt2 file"
        raise UsageError(f"{file}: {what}: {_reason(error)}") from None


@contextmanager
def _tensors_only() -> Iterator[None]:
    """Lets nothing but tensors be unpickled: PyTorch would run what a program's pickles say."""
    load, load_object, loads = torch.load, torch._C._pickle_load_obj, pickle.loads

    def load_tensors(*arguments: Any, **options: Any) -> Any:
        return load(*arguments, **{**options, "weights_only": True})

    def refuse(*_: Any, **__: Any) -> Any:
        raise pickle.UnpicklingError(
            "it holds objects of Python, and only tensors are safe to read"
        )

    torch.load, torch._C._pickle_load_obj, pickle.loads = load_tensors, refuse, refuse
    try:
        yield
    finally:
        torch.load, torch._C._pickle_load_obj, pickle.loads = load, load_object, loads


def _reason(error: Exception) -> str:
    """`ValueError: …`, its first line."""
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first.strip()}" if first else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings and logs, which speak of PyTorch's own inside."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

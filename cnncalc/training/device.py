"""Where and how a run computes: device, precision and layout, chosen before it starts."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from cnncalc.errors import FieldError, UsageError

if TYPE_CHECKING:
    from cnncalc.spec.train_section import Recipe

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Setting:
    """How a run computes."""

    device: torch.device
    precision: torch.dtype
    channels_last: bool
    compiled: bool = False
    captured: bool = False
    """Whether steps are replayed as a CUDA graph."""

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def autocast(self) -> Any:
        """The context of a forward pass."""
        if self.precision == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.precision)


def choose_setting(
    recipe: Recipe, device: str, input_shape: tuple[int, ...], *, compiled: bool = False
) -> Setting:
    """The setting of a run; `device` is auto, cpu, cuda, cuda:1, mps …

    Precision auto is bfloat16 where the device has units for it (CUDA from compute capability 8.0,
    CPUs with AMX or AVX-512 BF16), else float32. Images of two axes run channels_last.

    Raises:
        UsageError: there is no such device.
        FieldError: it cannot compute in that precision.
    """
    found = find_device(device)
    precision = DTYPES.get(recipe.precision)
    if precision is None:
        precision = torch.bfloat16 if has_bfloat16(found) else torch.float32
    if precision == torch.float16 and found.type == "cpu":
        raise FieldError(
            "float16 needs a GPU",
            place=recipe.place("train.precision"),
            path="train.precision",
            hint="use bfloat16 or float32",
        )
    return Setting(found, precision, len(input_shape) == 3, compiled)


def find_device(name: str) -> torch.device:
    """A device by name, if it is there. Raises `UsageError`."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(
            f"there is no device {name!r}; use auto, cpu, cuda, cuda:1 or mps"
        ) from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"--device {name}: PyTorch finds no CUDA device; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device {name}: there are {torch.cuda.device_count()} CUDA devices")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError(f"--device {name}: PyTorch finds no MPS device; use --device cpu")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"--device {name}: use auto, cpu, cuda or mps")
    return device


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has units for bfloat16, so that it is faster than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        features = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        return any(getattr(torch.cpu, feature, bool)() for feature in features)
    return False

"""Published peak rates of GPUs, to say what share of one a run reached.

Dense rates (the data sheets' figures "with sparsity" halved), in TFLOP/s, from NVIDIA's data sheets
of the V100, T4, A10, A100, L4, L40S, H100 and H200, and the white papers of GA102 (table 2: RTX
3090) and of the Ada architecture (appendix A: RTX 4090). Sums are kept in float32, as PyTorch keeps
them, which halves the tensor cores of the two RTX cards. float32 is TF32's rate where the device
has it: PyTorch's convolutions use it.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Peak(NamedTuple):
    """Dense TFLOP/s of one device; None where it has no units for that."""

    name: str
    """What `torch.cuda.get_device_name` says of it, as a regular expression."""
    bfloat16: float | None
    float16: float
    float32: float


PEAKS = (
    Peak(r"V100-SXM[23]", None, 125.0, 15.7),
    Peak(r"V100-PCIE", None, 112.0, 14.0),
    Peak(r"Tesla T4$", None, 65.0, 8.1),
    Peak(r"A10$", 125.0, 125.0, 62.5),
    Peak(r"A100\b", 312.0, 312.0, 156.0),
    Peak(r"L4$", 121.0, 121.0, 60.0),
    Peak(r"L40S$", 362.0, 362.0, 183.0),
    Peak(r"H100 80GB HBM3$", 989.4, 989.4, 494.7),
    Peak(r"H100 PCIe$", 756.0, 756.0, 378.0),
    Peak(r"H100 NVL$", 835.5, 835.5, 417.5),
    Peak(r"H200$", 989.4, 989.4, 494.7),
    Peak(r"H200 NVL$", 835.5, 835.5, 417.5),
    Peak(r"GeForce RTX 3090$", 71.0, 71.0, 35.6),
    Peak(r"GeForce RTX 4090$", 165.2, 165.2, 82.6),
)


def peak_multiply_adds(device_name: str, precision: str) -> float | None:
    """Multiply-adds a second of a device at its peak, two flops each; None where it is not known.

    `precision` is bfloat16, float16 or float32.
    """
    if " MIG " in device_name:  # a part of one
        return None
    for peak in PEAKS:
        if re.search(rf"\b{peak.name}", device_name):
            rate: float | None = getattr(peak, precision)
            return None if rate is None else rate * 1e12 / 2
    return None

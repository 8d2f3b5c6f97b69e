"""Networks of timm, which no one here wrote, import with exact figures."""

from __future__ import annotations

import pytest

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
timm = pytest.importorskip("timm", reason="timm is not installed")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

NETWORKS = ("dla46_c", "ese_vovnet19b_slim", "ghostnet_050", "mobilenetv4_conv_small", "resnet10t")


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_and_multiply_adds_are_exact(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name).eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, 64, 64, device="meta"))
    totals = cnncalc.analyze_module(model, (3, 64, 64)).totals
    assert totals.parameters == sum(weight.numel() for weight in model.parameters())
    assert 2 * totals.multiply_adds == counter.get_total_flops()
    assert totals.unknown == ()

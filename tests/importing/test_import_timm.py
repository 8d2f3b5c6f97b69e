"""Networks of timm, which no one here wrote, import with exact figures."""

from __future__ import annotations

import pytest

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.counting import multiply_adds  # noqa: E402

pytestmark = pytest.mark.exhaustive
NETWORKS = ("dla46_c", "ese_vovnet19b_slim", "ghostnet_050", "mobilenetv4_conv_small", "resnet10t")


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_and_multiply_adds_are_exact(name: str) -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed")  # seconds: not to collect
    with torch.device("meta"):
        model = timm.create_model(name).eval()
    totals = cnncalc.analyze_module(model, (3, 64, 64)).totals
    assert totals.parameters == sum(weight.numel() for weight in model.parameters())
    assert totals.multiply_adds == multiply_adds(model, (3, 64, 64))
    assert totals.unknown == ()

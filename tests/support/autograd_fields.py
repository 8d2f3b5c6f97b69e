"""Receptive fields, unit by unit, against the gradients of the real modules.

A unit sees a pixel if the gradient of its output by that pixel is not zero; its field is the
hull of those pixels (dilated kernels have holes). Weights and inputs are positive and random, in
float64, so that nothing cancels; a layer that hides paths at random (a max pool, an activation
with a flat part) is replaced by one that sees the same and hides nothing.

At the border fields are not clipped to the image: an evenly spaced field goes on into the padding
as if there were pixels. So

- what a unit sees always lies within its field, cut off at the image;
- a field that lies inside the image is exact;
- a field that does not is exact when cut off at the image as long as all steps and dilations
  are 1; else the image's edge may fall into a hole of the layers below.

Three things escape the rule, and the networks drawn here avoid them: padding after a crop, or a
window rounded up into it (the field counts the pixels that were cut away); padding that is not
zeros (its content is pixels from elsewhere, which the field does not follow); channels chosen from
a concat (a field is that of all channels of a tensor). After an uneven field (transposed
convolution, upsampling, uneven bins) the padding adds nothing, and the field is exact there too;
so is every field that is followed from the image's edges on (`clipped`).
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import reject

import cnncalc
from cnncalc.analysis.analyze import fields_of
from cnncalc.layers.activation import Softmax
from cnncalc.layers.base import Elementwise
from cnncalc.layers.norm import LocalResponseNorm, Norm
from cnncalc.layers.relu import Prelu
from cnncalc.network.expansion import build_graph
from cnncalc.network.names import INPUT

torch = pytest.importorskip("torch", reason="receptive fields are compared with gradients")

from cnncalc.verification.fields.transparent import transparent  # noqa: E402

if TYPE_CHECKING:
    from cnncalc.layers.base import Layer
    from cnncalc.maths.receptive_fields import Field
    from cnncalc.network.graph import Graph, Node

Interval = tuple[int, int]
TOLERANCE = 1e-13
"""Of a unit's largest gradient: below it stands what floats make of an interpolation's 0."""


def module_of(layer: Layer, shapes: tuple[tuple[int, ...], ...]) -> Any:
    """The layer's module, or one that sees the same and hides nothing; positive weights."""
    if isinstance(layer, Elementwise) and not isinstance(layer, Norm | Prelu | Softmax):
        return torch.nn.LeakyReLU(0.5)
    return transparent(layer, shapes)


def outputs_of(graph: Graph) -> dict[int, Any]:
    """The output of each node for one random image.

    It is scaled, so that nothing saturates, and each number a little otherwise, so that nothing
    cancels: the mean behind a norm, the sum of a softmax.
    """
    outputs = {INPUT: torch.rand(1, *graph.input_shape, dtype=torch.float64).requires_grad_()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `same` padding of even kernels
        for node in graph.nodes:
            module = module_of(node.layer, node.input_shapes)
            try:
                y = module(*(outputs[index] for index in node.inputs))
            except ValueError as error:
                assert "more than 1 value per channel" in str(error)  # noqa: PT017
                reject()
            if is_constant(node.layer, y):
                reject()
            # Without contiguous() PyTorch 2.15 errs in BatchNorm3d's gradient behind a permute.
            scale = (torch.rand_like(y) + 0.5) / y.detach().abs().max().clamp(min=1e-9)
            outputs[node.number] = y.contiguous() * scale
    return outputs


def is_constant(layer: Layer, y: Any) -> bool:
    """Whether a norm or softmax measured equal numbers only, or one: its gradient is none."""
    if isinstance(layer, Softmax):
        return bool((y.exp() if layer.kind == "log_softmax" else y).max() > 1 - 1e-9)
    measures = isinstance(layer, Norm) and not isinstance(layer, LocalResponseNorm)
    if not measures or getattr(layer, "track_running_stats", False):
        return False
    return bool(y.detach().abs().min() < 1e-9)


def seen_pixels(outputs: dict[int, Any], node: Node, axis: int, field: Field) -> list[list[int]]:
    """The pixels along input axis `axis` on which each unit of the field depends."""
    y = outputs[node.number][0]
    units = y.unbind(field.axis) if field.axis is not None else [y]
    pixels = []
    for unit in units:
        (gradient,) = torch.autograd.grad(unit.sum(), outputs[INPUT], retain_graph=True)
        strength = gradient[0].abs().movedim(axis, 0).flatten(1).amax(1)
        seen = strength > TOLERANCE * strength.max()
        pixels.append(seen.nonzero().flatten().tolist())
    return pixels


def check(graph: Graph, *, interior_only: bool = False) -> int:
    """Compares every node; returns how many fields lay inside the image, and were exact."""
    outputs, fields = outputs_of(graph), fields_of(graph)
    clipped = fields_of(graph, clipped=True)
    dense = all(is_dense(node.layer) for node in graph.nodes)
    exact = 0
    for node in graph.nodes:
        for axis, (field, size) in enumerate(
            zip(fields[node.number], graph.input_shape[1:], strict=True), start=1
        ):
            units = seen_pixels(outputs, node, axis, field)
            if not any(units):
                continue  # of nothing but padding, perhaps along another axis
            for unit, pixels in enumerate(units):
                interval = field.interval(unit)
                where = f"{node.name}, input axis {axis}, unit {unit}"
                exact += compare(interval, pixels, size, where, dense, interior_only)
                seen = clipped[node.number][axis - 1]
                if seen.axis == field.axis and not interior_only:
                    compare(seen.interval(unit), pixels, size, f"{where}, clipped", dense, False)
    return exact


def compare(
    interval: Interval,
    pixels: list[int],
    size: int,
    where: str,
    dense: bool,
    interior_only: bool,
) -> bool:
    low, high = interval
    inside = low >= 0 and high < size
    if inside:
        hull = (pixels[0], pixels[-1]) if pixels else "nothing"
        assert (hull if low <= high else pixels) == (interval if low <= high else []), where
    elif pixels and not interior_only:
        clipped = (max(low, 0), min(high, size - 1))
        assert clipped[0] <= pixels[0], where
        assert pixels[-1] <= clipped[1], where
        if dense:
            assert clipped == (pixels[0], pixels[-1]), where
    return inside


def is_dense(layer: Layer) -> bool:
    """Whether neighbouring units of the layer see all that lies between what they see."""
    if layer.kind in ("conv_transpose", "upsample", "adaptive_avg_pool", "adaptive_max_pool"):
        return False
    stride = getattr(layer, "stride", 1) or getattr(layer, "kernel_size", 1)
    steps = (stride, getattr(layer, "dilation", 1))
    return all(set(step if isinstance(step, tuple) else (step,)) == {1} for step in steps)


def graph_of(spec: dict[str, Any]) -> Graph:
    return build_graph(cnncalc.load(spec))


# --- single layers: every kind, in the corners that the strategies draw ---------------------------

"""Several operations that together are one layer of ours."""

from __future__ import annotations

from typing import Any

from cnncalc.importing.sketch.operations import Operation, Sketch, Unfit, Weight, name_of


def simplified(made: Operation, sketch: Sketch) -> Operation:
    """What an operation and those before it are together, or the operation itself."""
    rules = {"permute": _normalised_channels, "reshape": _shuffled, "multiply": _gated}
    rule = rules.get(made.kind)
    return (rule and rule(made, sketch)) or made


def recognised(made: Operation, sketch: Sketch) -> Operation:
    """What an unknown operation and those before it are together, or the operation itself."""
    name = name_of(made.origin)
    rules = {
        "div": _response_norm,
        "add": _affine,
        "sum": _distances,
        "reducesum": _distances,
    }
    rule = rules.get(name)
    try:
        return (rule and rule(made, sketch)) or made
    except (Unfit, TypeError, ValueError, IndexError, AttributeError):
        return made


def _inner(operation: Operation, *kinds: str) -> Operation:
    """What flows in first, if it is of one of these kinds, or of these origins if unknown."""
    (source, *_) = operation.inputs
    name = name_of(source.origin)
    if source.kind not in kinds and not (source.is_unknown and name in kinds):
        raise Unfit(f"{source.kind} where {kinds} should stand")
    return source


def _normalised_channels(made: Operation, sketch: Sketch) -> Operation | None:
    """Permute to channels last, layer_norm of the last axis, and back: layer_norm of channels."""
    norm = made.inputs[0]
    if norm.kind != "layer_norm" or norm.inputs[0].kind != "permute":
        return None
    before = norm.inputs[0]
    axes = len(made.shape)
    there, back = [0, *range(2, axes + 1), 1], [0, axes, *range(1, axes)]
    if (before.fields["dims"], made.fields["dims"]) != (there, back):
        return None
    fields = {name: value for name, value in norm.fields.items() if name != "over"}
    return sketch.add(
        "layer_norm",
        fields,
        before.inputs,
        made.shape,
        weights=norm.weights,
        origin=norm.origin,
        calls=norm.calls,
    )


def _shuffled(made: Operation, sketch: Sketch) -> Operation | None:
    """(C, …) as (g, C/g, …), the two axes swapped, and back: a channel shuffle."""
    swapped = made.inputs[0]
    if swapped.kind != "permute" or swapped.inputs[0].kind != "reshape":
        return None
    dealt = swapped.inputs[0]
    (x,) = dealt.inputs
    groups = dealt.shape[0]
    order = [0, 2, 1, *range(3, len(dealt.shape) + 1)]
    parts = (groups, x.shape[0] // groups, *x.shape[1:])
    if swapped.fields["dims"] != order or dealt.shape != parts or made.shape != x.shape:
        return None
    return sketch.add(
        "channel_shuffle",
        {"groups": groups},
        (x,),
        made.shape,
        origin=made.origin,
        calls=made.calls,
    )


def _gated(made: Operation, sketch: Sketch) -> Operation | None:
    """X times its own sigmoid."""
    kinds = {"sigmoid": "silu", "hardsigmoid": "hardswish"}
    for x, gate in (made.inputs, made.inputs[::-1]):
        if gate.kind in kinds and gate.inputs == (x,):
            kind = kinds[gate.kind]
            return sketch.add(kind, {}, (x,), made.shape, origin=made.origin, calls=made.calls)
    return None


def _affine(made: Operation, sketch: Sketch) -> Operation | None:
    """A layer_scale and a weight added to each channel."""
    scale = _inner(made, "layer_scale")
    bias = next(value for value in made.arguments if isinstance(value, Weight))
    shape = (made.shape[0], *(1 for _ in made.shape[1:]))
    if bias.shape not in (shape, (1, *shape)):
        return None
    weights = {**scale.weights, "bias": bias._replace(shape=shape[:1])}
    return sketch.add(
        "channel_affine",
        {},
        scale.inputs,
        made.shape,
        weights=weights,
        origin=made.origin,
        calls=made.calls,
    )


def _response_norm(made: Operation, sketch: Sketch) -> Operation | None:
    """X / (k + alpha·mean(x²))^beta, the mean over neighbouring channels, as PyTorch writes it."""
    x, power = made.arguments[:2]
    beta = power.arguments[1]
    shifted = _inner(power, "add")
    scaled = _inner(shifted, "mul")
    found: Any = scaled.inputs[0]
    while found.kind in ("reshape", "flatten") or name_of(found.origin) in ("squeeze", "unsqueeze"):
        (found,) = found.inputs
    padded = _inner(found, "pad", "reshape", "unsqueeze")
    while padded.kind != "multiply" and name_of(padded.origin) != "square":
        (padded,) = padded.inputs
    if {*padded.inputs} != {x}:
        return None
    kernel = found.fields["kernel_size"] if found.kind == "avg_pool" else found.arguments[1]
    fields = {
        "size": kernel[0] if isinstance(kernel, list) else kernel,
        "alpha": float(scaled.arguments[1]),
        "beta": float(beta),
        "k": float(shifted.arguments[1]),
    }
    return sketch.add(
        "local_response_norm",
        fields,
        (x,),
        made.shape,
        origin=made.origin,
        calls=made.calls,
    )


def _distances(made: Operation, sketch: Sketch) -> Operation | None:
    """The sum of squares of what is left of each of several codes."""
    squared = _inner(made, "square", "pow", "multiply")
    rest = _inner(squared, "sub")
    codes = next(value for value in rest.arguments if isinstance(value, Weight))
    (x,) = _inner(rest, "reshape").inputs
    return sketch.add(
        "rbf",
        {"out_features": made.shape[0]},
        (x,),
        made.shape,
        weights={"codes": codes},
        origin=made.origin,
        calls=made.calls,
    )

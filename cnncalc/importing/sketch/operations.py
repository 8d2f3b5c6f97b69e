"""What a reader makes of a network: operations, each a layer of ours with its fields.

Every operation is tried as the layer that it claims to be: its output and its weights must have
the shapes that were traced. What does not fit, or has no layer, becomes an `unknown` layer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.errors import SpecError, UsageError
from cnncalc.layers import find
from cnncalc.layers.unknown import MAX_AXES, Unknown
from cnncalc.spec.complaints import validated

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cnncalc.layers.base import Layer, Shape

ENTRY = "input"
OF = "@"
"""Between a short weight's name and the operation that has it: a file may keep equal ones once,
whoever they belong to."""
NAMED = 3
"""Tensors that a note names."""


class Unfit(Exception):  # noqa: N818 - not an error of the user's
    """The layer that was tried is not what the network computes."""


def name_of(origin: str) -> str:
    """`add` of aten.add_.Tensor, and of ONNX's Add."""
    return origin.removeprefix("aten.").partition(".")[0].rstrip("_").lower()


class Call(NamedTuple):
    """A call of a module."""

    key: str
    """Of this call: other calls of the same module have other keys."""
    path: str
    """`layer1.0`."""
    kind: str
    """The module's class: `Bottleneck`."""


def containers(around: Call, path: str) -> list[Call]:
    """The modules between a call and the module `path`, which hold others and are not called."""
    inside = path.removeprefix(f"{around.path}.") if around.path else path
    if around.path and inside == path:
        return []  # called from elsewhere than where it is kept
    found = []
    name, key = around.path, around.key
    for part in inside.split(".")[:-1]:
        name, key = f"{name}.{part}" if name else part, f"{key}/{part}"
        found.append(Call(key, name, ""))
    return found


class Weight(NamedTuple):
    """A tensor that the network keeps: a parameter, a buffer or a constant."""

    name: str
    shape: Shape
    learnt: bool = True
    derived: bool = False
    """Whether it is computed from the one that is kept, beyond another shape or turn."""
    turned: bool = False
    """Whether it is the transpose of the one that is kept."""
    filled: float | None = None
    """The number that it holds everywhere, if it does and that was looked at."""

    def transposed(self) -> Weight:
        """Of two axes, the other way round."""
        return self._replace(shape=self.shape[::-1], turned=not self.turned)

    def reshaped(self, shape: Shape) -> Weight:
        """The same numbers in another shape: computed, if they were turned before."""
        return self._replace(
            shape=shape, derived=self.derived or (self.turned and shape != self.shape)
        )


@dataclass(eq=False, slots=True)
class Operation:
    """One layer at its place. Shapes are of one sample."""

    number: int
    kind: str
    fields: dict[str, Any]
    inputs: tuple[Operation, ...]
    shape: Shape
    origin: str = ""
    """What the network's own program calls it: `aten.conv2d.default`."""
    calls: tuple[Call, ...] = ()
    """The calls of modules that it stands in, the outermost first."""
    weights: dict[str, Weight] = field(default_factory=dict)
    """The tensors that it learnt or keeps, by our names for them."""
    buffers: frozenset[str] = frozenset()
    """Those that it keeps and does not learn."""
    shares: Operation | None = None
    frozen: bool = False
    arguments: tuple[Any, ...] = ()
    """Of an unknown one, for patterns: operations, weights and plain values."""

    @property
    def place(self) -> str:
        """Where it stands in the network that was read."""
        return self.calls[-1].path if self.calls else ""

    @property
    def learnable(self) -> list[Weight]:
        """The tensors that its layer learns, though the network may have frozen them."""
        return [weight for name, weight in self.weights.items() if name not in self.buffers]

    @property
    def is_unknown(self) -> bool:
        """Whether it has no layer."""
        return self.kind == Unknown.kind


class Sketch:
    """The operations of one network."""

    def __init__(self, name: str, input_shape: Shape) -> None:
        self.name = name
        self.entry = Operation(0, ENTRY, {}, (), input_shape)
        self.output = self.entry
        self.notes: list[str] = []
        self._count = 0

    def add(
        self,
        kind: str,
        fields: Mapping[str, Any],
        inputs: Iterable[Operation],
        shape: Shape,
        *,
        weights: Mapping[str, Weight] | None = None,
        origin: str = "",
        calls: tuple[Call, ...] = (),
    ) -> Operation:
        """A layer of ours. Raises `Unfit` if it is not what was traced."""
        inputs, weights = tuple(inputs), dict(weights or {})
        tidied = _tidy(kind, fields)
        buffers = _check(kind, tidied, [each.shape for each in inputs], shape, weights)
        self._count += 1
        made = Operation(self._count, kind, tidied, inputs, shape, origin, calls, weights, buffers)
        made.frozen = bool(made.learnable) and not any(each.learnt for each in made.learnable)
        return made

    def unknown(
        self,
        origin: str,
        inputs: Iterable[Operation],
        shape: Shape,
        *,
        calls: tuple[Call, ...] = (),
        arguments: tuple[Any, ...] = (),
    ) -> Operation:
        """An operation that has no layer."""
        self._count += 1
        shape = tuple(size for size in shape if size > 0)[:MAX_AXES] or (1,)
        fields = {"operation": origin, "shape": [*shape]}
        inputs = tuple(dict.fromkeys(inputs))
        return Operation(
            self._count, Unknown.kind, fields, inputs, shape, origin, calls, arguments=arguments
        )

    def note_left_out(self, tensors: Mapping[str, int]) -> None:
        """Notes the parameters that no layer has, by their names: how many numbers each holds."""
        if tensors:
            names = ", ".join([*tensors][:NAMED]) + (" …" if len(tensors) > NAMED else "")
            self.notes.append(f"parameters left out: {sum(tensors.values()):,} of {names}")

    def operations(self) -> list[Operation]:
        """Those that the output depends on, in the order in which they run.

        Raises:
            UsageError: the output does not depend on the input, or is it.
        """
        found = {self.output}
        pending = [self.output]
        while pending:
            for source in pending.pop().inputs:
                if source not in found:
                    found.add(source)
                    pending.append(source)
        if len(found) == 1:
            raise UsageError(f"{self.name}: computes nothing: its output is its input")
        if self.entry not in found:
            raise UsageError(f"{self.name}: its output does not depend on its input")
        found.discard(self.entry)
        kept = sorted(found, key=lambda operation: operation.number)
        _share(kept)
        return kept


def _share(operations: list[Operation]) -> None:
    """Lets later operations share the weights of the first that has them."""
    owners: dict[tuple[Any, ...], Operation] = {}
    taken: set[str] = set()
    for operation in operations:
        own = operation.learnable
        names = {weight.name for weight in own}
        if not names:
            continue
        # Beside a weight that is kept for it alone, a short one is its own too.
        alone = any(OF not in weight.name for weight in own)
        called = {each: each.name.partition(OF)[0] if alone else each.name for each in own}
        uses = ((called[each], each.turned, *_significant(each.shape)) for each in own)
        owner = owners.setdefault((operation.kind, *uses), operation)
        if owner is not operation:
            operation.shares, operation.frozen = owner, False
        elif taken & names:
            _forget(operation)
        taken |= names


def _forget(operation: Operation) -> None:
    """Makes an operation unknown that shares a part of its weights, which no layer does."""
    operation.fields = {"operation": operation.origin, "shape": [*operation.shape]}
    operation.kind, operation.weights = Unknown.kind, {}


def _tidy(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are not at their defaults; a list of equal numbers as one number."""
    cls = find(kind)
    assert cls is not None, kind
    kept = {}
    for name in sorted(fields, key=place_of):
        value = fields[name]
        if isinstance(value, list | tuple) and name in _PER_AXIS and _are_equal(value):
            value = value[0]
        if isinstance(value, tuple):
            value = [*value]
        declared = cls.model_fields[name]
        if declared.is_required() or value != declared.get_default():
            kept[name] = value
    by_kernel = "stride" in kept and cls.model_fields["stride"].default is None
    if by_kernel and kept["stride"] == kept["kernel_size"]:
        del kept["stride"]
    return kept


def _are_equal(values: Sequence[Any]) -> bool:
    return not isinstance(values[0], list) and all(value == values[0] for value in values)


_FIRST = ("out_channels", "kernel_size", "stride", "padding", "dilation")
"""The fields that stand before others, in this order, as PyTorch has them."""
_PER_AXIS = frozenset(
    (*_FIRST, "output_padding", "output_size", "cropping", "scale_factor", "size")
)


def place_of(name: str) -> int:
    """Where a field stands among those of its layer, for sorting."""
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


def _check(
    kind: str, fields: dict[str, Any], xs: list[Shape], y: Shape, weights: Mapping[str, Weight]
) -> frozenset[str]:
    """The names of the layer's buffers. Raises `Unfit` if it is not what was traced."""
    cls = find(kind)
    assert cls is not None
    if any(weight.derived or (weight.turned and kind != "linear") for weight in weights.values()):
        raise Unfit("its weight is computed")
    try:
        layer: Layer = validated(cls, {k: _tuples(v) for k, v in fields.items()}, path=kind)
        shape = tuple(int(size) for size in layer.output_shape(*xs))
        own = {name: tuple(map(int, size)) for name, size in layer.weights(*xs).items()}
        buffers = {name: tuple(size) for name, size in layer.buffers(*xs).items()}
        own |= {name: size for name, size in buffers.items() if name in weights}
    except (SpecError, ValueError, TypeError, ZeroDivisionError) as error:
        raise Unfit(str(error)) from None
    if shape != y:
        raise Unfit(f"gives {shape}, not {y}")
    if {name: _significant(size) for name, size in own.items()} != {
        name: _significant(weight.shape) for name, weight in weights.items()
    }:
        raise Unfit("has other weights")
    return frozenset(buffers)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _significant(shape: Shape) -> list[int]:
    """The shape without trailing axes of length 1."""
    sizes = [*shape]
    while sizes and sizes[-1] == 1:
        sizes.pop()
    return sizes

"""What the rest of the world calls: `import_network` a source, `analyze_module`."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.analysis.analyze import analyze_graph
from cnncalc.analysis.summary import Summary
from cnncalc.errors import CnncalcError, UsageError, reason_of, torch_is_missing
from cnncalc.importing.sketch.operations import OF
from cnncalc.importing.writing.blocks import fold
from cnncalc.importing.writing.chains import arranged
from cnncalc.importing.writing.entries import FLAT, NamelessError, entries_of, give_names, paths_of
from cnncalc.importing.writing.yaml import Writer, to_yaml
from cnncalc.network.expansion import build_graph
from cnncalc.pytorch.pairing import TURNED
from cnncalc.spec.architecture import Architecture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from cnncalc.importing.sketch.operations import Operation, Sketch
    from cnncalc.importing.writing.entries import Entry


class Imported(NamedTuple):
    """A network that was imported."""

    spec: dict[str, Any]
    """As plain data: `cnncalc.load` takes it."""
    notes: tuple[str, ...]
    """What is not in the spec."""
    weights: dict[str, str]
    """Our name of each tensor of the built module, and its name in the source; with `^T` behind it
    if its transpose is kept there. The spec holds them as well, where they differ."""

    @property
    def text(self) -> str:
        """The spec as YAML."""
        return to_yaml(self.spec)


def import_network(
    source: str,
    *,
    input_shape: Sequence[int] | None = None,
    call: str | None = None,
    blocks: bool = False,
) -> Imported:
    """The spec of `torchvision:resnet50`, `module:function`, `file.py:function`, .pt2 or .onnx.

    Raises:
        UsageError: there is no such thing, or it cannot be read or followed.
    """
    from cnncalc.importing.sources import is_file, read_source

    try:
        sketch = read_source(source, input_shape=input_shape, call=call)
        return imported(sketch, source=f"imported from {source}", blocks=blocks)
    except CnncalcError:
        raise
    except Exception as error:
        if not is_file(source):
            raise
        raise UsageError(f"{source}: is damaged, or no network: {reason_of(error)}") from None


def imported(sketch: Sketch, *, source: str = "", blocks: bool = False) -> Imported:
    """The spec of a sketch; with `blocks`, what it repeats is written once.

    Raises:
        UsageError: there is nothing in it.
    """
    operations = sketch.operations()
    steps = arranged(operations, sketch.entry, sketch.output)
    try:
        spec, weights = _written(sketch, entries_of(steps), blocks=blocks)
    except NamelessError:
        spec, weights = _written(sketch, entries_of(steps, FLAT), blocks=False)
    about = {"source": source} if source else {}
    spec = {"name": sketch.name, **about, **spec}
    if origin := _origin(weights):
        spec["imported"] = origin
    return Imported(spec, tuple(sketch.notes), weights)


def _origin(weights: Mapping[str, str]) -> dict[str, Any]:
    """What the spec keeps of the source: names of modules, or of tensors that are called otherwise
    in them, where ours differ.
    """
    names: dict[str, str] = {}
    for ours, theirs in weights.items():
        module, _, last = ours.rpartition(".")
        other, _, their_last = theirs.rpartition(".")
        alike = module and other and last == their_last
        names |= {module: other} if alike else {ours: theirs}
    uses = Counter(names.values())
    names = {ours: name for ours, name in names.items() if ours != name or uses[name] > 1}
    return {"weights": names} if names else {}


def _written(
    sketch: Sketch, entries: list[Entry], *, blocks: bool
) -> tuple[dict[str, Any], dict[str, str]]:
    """The spec of entries, and the names of their weights in the source."""
    _give_to_the_first(entries)
    found = fold(entries) if blocks else {}
    give_names(entries)
    for block in found.values():
        give_names(block.entries)
    writer = Writer(entries, sketch.entry, found)
    spec: dict[str, Any] = {"input": [*sketch.entry.shape]}
    if found:
        spec["blocks"] = writer.declared()
    spec["layers"] = writer.items(entries)
    weights = {
        f"{'.'.join(path)}.{name}": weight.name.partition(OF)[0] + TURNED * weight.turned
        for operation, path in writer.paths.items()
        for name, weight in operation.weights.items()
    }
    return spec, weights


def _give_to_the_first(entries: list[Entry]) -> None:
    """Makes the owner of shared weights the one that is written first: branches are written in the
    order of their join, not of their execution.
    """
    uses: dict[Operation, list[Operation]] = {}
    for operation, _ in paths_of(entries):
        uses.setdefault(operation.shares or operation, []).append(operation)
    for owner, (first, *others) in uses.items():
        if first is not owner:
            first.shares, first.frozen, owner.frozen = None, owner.frozen, False
            for other in others:
                other.shares = first


def analyze_module(
    module: nn.Module, input_shape: Sequence[int], *, dtype: str = "float32", batch_size: int = 1
) -> Summary:
    """The table of any module that torch.export can follow, in evaluation.

    `input_shape` is one sample's, `(3, 224, 224)`; the module's weights are neither copied nor
    changed. An operation that has no layer is named and counted in nothing; what else is left out,
    such as further outputs, is a warning.

    Raises:
        UsageError: it is no module, cannot be followed, or takes or gives several tensors; or the
            shape is none.
    """
    try:
        from cnncalc.importing.from_torch.program import read_program
        from cnncalc.importing.from_torch.tracing import trace
    except ModuleNotFoundError as error:
        raise torch_is_missing(error, "analyze_module") from None
    name = type(module).__name__
    hint = "the shape is one sample's, without the batch"
    sketch = read_program(trace(module, input_shape, name, hint=hint), name)
    network = imported(sketch)
    for note in network.notes:
        warnings.warn(f"{name}: {note}", stacklevel=2)
    graph = build_graph(Architecture.from_data(network.spec))
    return analyze_graph(graph, dtype=dtype, batch_size=batch_size)

"""Source -> DataSet: checked against the network, split, brought into memory and measured."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from cnncalc.errors import UsageError
from cnncalc.training.data.dataset import (
    DataSet,
    Files,
    Part,
    Source,
    Split,
    Statistics,
    Stream,
)
from cnncalc.training.data.fitting.images import FileStream, check_channels, decode_all
from cnncalc.training.data.fitting.splits import stratified
from cnncalc.training.data.fitting.statistics import evenly_spaced, measure
from cnncalc.training.data.fitting.target import FittedStream, Target, check_shape, counted, fit

_ROLES = ("train", "validation", "test")
_MEASURED = 512
"""As many images of a stream are measured, evenly spaced."""


class Options(NamedTuple):
    """What the user chose about the data."""

    validation: float
    """Share of the training split that is held out; 0 for none."""
    seed: int
    memory_limit: int
    skip_corrupt: bool = False
    known: tuple[str, ...] = ()
    """Classes of a network that was trained already: any of them may have no image."""


def fitted(source: Source, target: Target, options: Options) -> DataSet:
    """The data set as the network takes it.

    Raises:
        UsageError: classes, labels or images do not fit; says what to change.
    """
    parts = _parts(source)
    _check_present(source.name, parts)
    named = source.classes or options.known
    count = len(named) or _numbered(source.name, parts, target)
    _check_classes(source.name, count, target)
    classes = named or tuple(map(str, range(count)))
    _check_labels(source.name, parts, classes)
    if not options.known:
        _check_trainable(source.name, parts["train"], classes)
    source = _held_out(source, options)
    parts = _parts(source)
    for part in parts.values():
        if isinstance(part, Files):
            check_channels(source.name, part, target)
        elif isinstance(part, Split):
            check_shape(source.name, tuple(part.images.shape[1:]), target)
    resident = sum(_bytes(part, target) for part in parts.values()) <= options.memory_limit
    ready: dict[str, Split | Stream] = {}
    skipped: tuple[str, ...] = ()
    for role, part in parts.items():
        ready[role], corrupt = _ready(part, target, options, resident=resident)
        skipped += corrupt
    if skipped:
        _check_present(source.name, ready)
        if not options.known:
            _check_trainable(source.name, ready["train"], classes)
    mean, std = _statistics(source.published, ready["train"], target)
    others = (ready.get("validation"), ready.get("test"))
    return DataSet(source.name, classes, ready["train"], *others, mean, std, skipped)


def _parts(source: Source) -> dict[str, Part]:
    found = {role: getattr(source, role) for role in _ROLES}
    return {role: part for role, part in found.items() if part is not None}


def _check_present(name: str, parts: dict[str, Part] | dict[str, Split | Stream]) -> None:
    for role, part in parts.items():
        if not len(part.labels):
            raise UsageError(f"{name}: the {role} split holds no image")


def _numbered(name: str, parts: dict[str, Part], target: Target) -> int:
    """As many classes as the highest label asks for.

    Where the network has those of the training split, another split does not ask for more.
    """
    lowest = min(int(part.labels.min()) for part in parts.values())
    highest = max(int(part.labels.max()) for part in parts.values())
    if lowest > 0:
        raise UsageError(
            f"{name} has labels from {lowest} to {highest}, and classes count from 0: subtract"
            f" {lowest} from them"
        )
    own = int(parts["train"].labels.max()) + 1
    return own if own == target.outputs else highest + 1


def _check_classes(name: str, count: int, target: Target) -> None:
    if count != target.outputs:
        have, outputs = counted(count, "class", "classes"), counted(count, "output", "outputs")
        own = counted(target.outputs, "output", "outputs")
        raise UsageError(
            f"{name} has {have}, the network {own}",
            advice=f"--set classes={count}, where the file has such a parameter, or give its last"
            f" layer {outputs}",
        )


def _check_labels(
    name: str, parts: dict[str, Part] | dict[str, Split | Stream], classes: tuple[str, ...]
) -> None:
    for role, part in parts.items():
        highest = int(part.labels.max())
        if highest >= len(classes) or int(part.labels.min()) < 0:
            wrong = highest if highest >= len(classes) else int(part.labels.min())
            raise UsageError(
                f"{name}: label {wrong} in the {role} split is out of range: "
                f"{len(classes)} classes are 0 to {len(classes) - 1}"
            )


def _check_trainable(name: str, train: Part | Split | Stream, classes: tuple[str, ...]) -> None:
    counts = torch.bincount(train.labels, minlength=len(classes))
    empty = [classes[label] for label in torch.nonzero(counts == 0).flatten().tolist()]
    if empty:
        some = ", ".join(map(repr, empty[:3])) + (", …" if len(empty) > 3 else "")
        raise UsageError(f"{name}: no image to train on of class {some}")


def _held_out(source: Source, options: Options) -> Source:
    if not options.validation:
        return source
    if source.validation is not None:
        raise UsageError(
            f"{source.name} has a validation split already: leave out validation: "
            f"{options.validation:g}"
        )
    kept, held = stratified(
        source.train.labels, options.validation, options.seed, "the validation share"
    )
    return source._replace(train=source.train.subset(kept), validation=source.train.subset(held))


def _bytes(part: Part, target: Target) -> int:
    """In memory once it is fitted; what streams anyway takes none."""
    if isinstance(part, Stream):
        return 0
    size = part.images.element_size() if isinstance(part, Split) else 1
    return len(part.labels) * target.bytes * size


def _ready(
    part: Part, target: Target, options: Options, *, resident: bool
) -> tuple[Split | Stream, tuple[str, ...]]:
    """The part as the network takes it, and the corrupt images left out."""
    if isinstance(part, Stream):
        return part, ()
    if isinstance(part, Split):
        if not resident and tuple(part.images.shape[1:]) != target.shape:
            return FittedStream(part, target), ()
        return part._replace(images=fit(part.images, target)), ()
    if not resident and not options.skip_corrupt:
        return FileStream(part, target), ()
    decoded = decode_all(part, target, skip=options.skip_corrupt, keep=resident)
    if decoded.images is None:
        return FileStream(decoded.files, target), decoded.corrupt
    return Split(decoded.images, decoded.files.labels), decoded.corrupt


def _statistics(published: Statistics | None, train: Split | Stream, target: Target) -> Statistics:
    if published is None:
        return measure(_sample(train))
    channels = target.shape[0]
    if len(published.mean) == channels:
        return published
    return Statistics(published.mean * channels, published.std * channels)


def _sample(train: Split | Stream) -> Tensor:
    """Images to be measured: all in memory, some of a stream."""
    if isinstance(train, Split):
        return train.images
    indices = evenly_spaced(len(train), _MEASURED)
    if isinstance(train, FileStream):
        return train.decoded(torch.tensor(indices))
    return torch.stack([train[index][0] for index in indices])

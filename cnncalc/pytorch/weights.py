"""Weights from elsewhere: another implementation's state dict mapped onto ours."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import torch

from cnncalc.errors import UsageError
from cnncalc.unpacking import check_members

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor, nn

NAMED_IN_ERRORS = 5
ROLES = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
"""What the tensors of PyTorch's layers are called in them."""


class Loaded(NamedTuple):
    """What `load_weights` did."""

    matched: dict[str, str]
    """Our name of each tensor that was loaded, and theirs."""
    missing: tuple[str, ...]
    """Our tensors that kept their values."""
    unexpected: tuple[str, ...]
    """Their tensors that were not used."""


def load_weights(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    *,
    strict: bool = True,
    map: Mapping[str, str] | None = None,  # noqa: A002 - says what it is
) -> Loaded:
    """Copies a state dict, our own or torchvision's for example, into `model`.

    Where names and shapes are all the model's, tensors are matched by name; otherwise in order
    among those of equal shape and role, such as `bias`, if either side has as many. Trailing axes
    of length 1 are ignored. `map` gives their name for some of ours and overrides both.

    A square matrix by another name than `weight` is matched by `map` alone: it may be transposed.

    Raises:
        UsageError: a name in `map` is unknown or its shapes differ; or, if `strict`, tensors of
            either side are left over. The model is then unchanged.
    """
    own = model.state_dict()
    matched = _mapped(own, state_dict, map or {})
    taken = set(matched.values())
    if _shapes(own) == _shapes(state_dict):
        matched |= {name: name for name in own if name not in matched and name not in taken}
        taken = set(matched.values())
    matched |= _in_order(
        {name: tensor for name, tensor in own.items() if name not in matched},
        {
            name: tensor
            for name, tensor in state_dict.items()
            if name not in taken and not _may_be_turned(name, tensor)
        },
    )
    taken = set(matched.values())
    missing = tuple(name for name in own if name not in matched)
    unexpected = tuple(name for name in state_dict if name not in taken)
    if strict and (missing or unexpected):
        left = left_over(missing, unexpected, own, state_dict)
        raise UsageError(f"{left}; map pairs them, strict=False leaves them")
    with torch.no_grad():
        for name, theirs in matched.items():
            own[name].copy_(state_dict[theirs].reshape(own[name].shape))
    return Loaded({name: matched[name] for name in own if name in matched}, missing, unexpected)


def load_checkpoint(model: nn.Module, file: str | os.PathLike[str]) -> None:
    """Copies the weights of a file into `model`, as `load_weights` does.

    The file holds a state dict, or a dict with one under `model` or `state_dict`.

    Raises:
        UsageError: it cannot be read, is no such file, or its tensors do not fit the model.
    """
    state = read_state(file)
    own = model.state_dict()
    loaded = load_weights(model, state, strict=False)
    if loaded.missing or loaded.unexpected:
        left = left_over(loaded.missing, loaded.unexpected, own, state)
        raise UsageError(f"{os.fspath(file)}: {left}")


def read_state(file: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The state dict in a file, or under `model` or `state_dict` of it; it can run nothing.

    Raises:
        UsageError: it cannot be read, or holds none.
    """
    name = os.fspath(file)
    try:
        check_members(file)
        data = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UsageError(f"{name}: cannot be read: {error.strerror or error}") from None
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever unpickling stumbles over
        unsafe = re.search(r"GLOBAL (\S+) was not", str(error))
        if unsafe is None:
            raise UsageError(f"{name}: is no checkpoint of PyTorch's") from None
        raise UsageError(
            f"{name}: holds {unsafe[1]}, and only tensors are safe to read;"
            " save the model's state_dict()"
        ) from None
    for key in ("model", "state_dict"):
        if isinstance(data, dict) and isinstance(data.get(key), dict):
            data = data[key]
    if not isinstance(data, dict) or not data or not all(map(torch.is_tensor, data.values())):
        raise UsageError(f"{name}: holds no state dict, nor one under model or state_dict")
    return data


def _mapped(
    own: Mapping[str, Tensor], theirs: Mapping[str, Tensor], chosen: Mapping[str, str]
) -> dict[str, str]:
    for name, other in chosen.items():
        if name not in own or other not in theirs:
            side, wrong = ("model", name) if name not in own else ("state dict", other)
            raise UsageError(f"map: the {side} has no tensor {wrong!r}")
        if _shape(own[name]) != _shape(theirs[other]):
            shapes = f"{tuple(own[name].shape)} and {tuple(theirs[other].shape)}"
            raise UsageError(f"map: {name} and {other} differ in shape: {shapes}")
    return dict(chosen)


def _in_order(own: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> dict[str, str]:
    """Ours and theirs, one after another among those of equal shape and role, if as many."""
    if all(_last(name).isdigit() for name in theirs) and _in_turn(own) == _in_turn(theirs):
        return dict(zip(own, theirs, strict=True))  # the names say nothing, the order all
    found: dict[str, str] = {}
    others = _by_shape(theirs)
    for shape, names in _by_shape(own).items():
        given = {name: _last(name) for name in others.get(shape, ())}
        words = {*given.values()} - ROLES
        roles = {name: _role(name, words) for name in names}
        # Words that say nothing to us mean the one role that no other name of theirs has.
        rest = {*roles.values()} - {*given.values()}
        if len(rest) == 1:
            strange = words - {*roles.values()}
            given |= {name: next(iter(rest)) for name in given if given[name] in strange}
        for role in {*roles.values()}:
            mine = [name for name in names if roles[name] == role]
            same = [name for name in given if given[name] == role]
            if len(mine) == len(same):
                found |= zip(mine, same, strict=True)
    return found


def _in_turn(tensors: Mapping[str, Tensor]) -> list[tuple[int, ...]]:
    return [*map(_shape, tensors.values())]


def _by_shape(tensors: Mapping[str, Tensor]) -> dict[tuple[int, ...], list[str]]:
    found: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for name, tensor in tensors.items():
        found[_shape(tensor)].append(name)
    return found


def _role(name: str, words: set[str]) -> str:
    """The one of their own words that a name of ours holds, numbered or not; else its last part."""
    parts = (part.rstrip("0123456789") for part in name.split("."))
    return next((part for part in parts if part in words), _last(name))


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _may_be_turned(name: str, tensor: Tensor) -> bool:
    """Whether it may be the W of `x @ W`, which is a layer's weight transposed, of one shape."""
    square = tensor.dim() == 2 and tensor.shape[0] == tensor.shape[1] > 1
    return square and _last(name) not in ROLES


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: _shape(tensor) for name, tensor in tensors.items()}


def _shape(tensor: Tensor) -> tuple[int, ...]:
    """The shape without trailing axes of length 1."""
    sizes = [*tensor.shape]
    while sizes and sizes[-1] == 1:
        sizes.pop()
    return tuple(sizes)


def left_over(
    missing: tuple[str, ...],
    unexpected: tuple[str, ...],
    own: Mapping[str, Tensor],
    theirs: Mapping[str, Tensor],
) -> str:
    """Names tensors of either side that have no counterpart, with their shapes."""
    parts = []
    for side, names, tensors in (("model", missing, own), ("state dict", unexpected, theirs)):
        if names:
            shown = ", ".join(
                f"{name} {tuple(tensors[name].shape)}" for name in names[:NAMED_IN_ERRORS]
            )
            more = " …" if len(names) > NAMED_IN_ERRORS else ""
            parts.append(f"{len(names)} of the {side}: {shown}{more}")
    alike = {_shape(own[name]) for name in missing} & {_shape(theirs[name]) for name in unexpected}
    if alike:
        parts.append("which of equal shape belong together does not follow from their names")
    return f"tensors without a counterpart, {'; '.join(parts)}"


@torch.no_grad()
def put_weights(model: nn.Module, values: Iterable[Tensor]) -> None:
    """Copies values into the model's parameters, in their order."""
    for weight, value in zip(model.parameters(), values, strict=True):
        weight.copy_(value)

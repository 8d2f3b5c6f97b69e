"""Weights from elsewhere: another implementation's state dict mapped onto ours."""

from __future__ import annotations

import os
import re
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import torch

from cnncalc.errors import UsageError, reason_of
from cnncalc.pytorch.pairing import TURNED, Pairing, may_be_turned, trimmed, unwrapped
from cnncalc.unpacking import check_members

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

    from torch import Tensor, fx, nn

NAMED_IN_ERRORS = 5


class Loaded(NamedTuple):
    """What `load_weights` did."""

    matched: dict[str, str]
    """Our name of each tensor that was loaded, and theirs."""
    missing: tuple[str, ...]
    """Our tensors that kept their values."""
    unexpected: tuple[str, ...]
    """Their tensors that were not used."""
    ordered: dict[str, str] = {}  # noqa: RUF012 - never changed
    """Those of `matched` that nothing but the order of both sides says."""
    exchangeable: tuple[tuple[str, str], ...] = ()
    """Two of theirs for each group that was left because they could change places unnoticed."""


def load_weights(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    *,
    strict: bool = True,
    map: Mapping[str, str] | None = None,  # noqa: A002 - says what it is
    in_order: bool = False,
) -> Loaded:
    """Copies a state dict, our own or torchvision's for example, into `model`.

    What is which follows from `map` (our name -> theirs), from what the spec of an imported network
    knows, from equal names and shapes, or from a shape and role (`weight`, `bias` …) that no other
    tensor has. Trailing axes of length 1 are ignored. Tensors that could change places unnoticed
    are not paired, but for bundled networks and torchvision's names, whose order was proven by
    their outputs; `in_order` vouches that both sides hold them in the same order.

    A square matrix by another name than ours is matched by `map` alone: it may be the transpose of
    a layer's weight, which `^T` behind its name says.

    Raises:
        UsageError: a name in `map` is unknown or its shapes differ; or, if `strict`, tensors of
            either side are left over. The model is then unchanged.
    """
    own, known = model.state_dict(), imported_names(model)
    tensors = {name: state_dict[whole] for name, whole in unwrapped(state_dict).items()}
    shown = dict(zip(tensors, state_dict, strict=True))
    plain = {whole: name for name, whole in shown.items()}
    chosen = {ours: plain.get(theirs, theirs) for ours, theirs in (map or {}).items()}
    aliases = _aliases(tensors)
    for name in {*chosen.values(), *known.values()}:
        kept = name.removesuffix(TURNED)
        if kept != name and kept in tensors and tensors[kept].dim() == 2:
            tensors[name], aliases[name], shown[name] = (
                tensors[kept].t(),
                kept,
                shown[kept] + TURNED,
            )
    pairing = Pairing(
        {name: tensor.shape for name, tensor in own.items()},
        {name: tensor.shape for name, tensor in tensors.items()},
        twins=_twins(model),
        aliases=aliases,
        alike=lambda one, other: torch.equal(tensors[one], tensors[other]),
        in_order=in_order,
    )
    pairing.run(chosen, known)
    loaded = Loaded(
        {ours: shown[pairing.found[ours]] for ours in own if ours in pairing.found},
        missing=tuple(name for name in own if name not in pairing.found),
        unexpected=tuple(shown[name] for name in pairing.unused()),
        ordered={ours: shown[theirs] for ours, theirs in pairing.ordered.items()},
        exchangeable=tuple((shown[one], shown[other]) for one, other in pairing.exchangeable),
    )
    if strict and (loaded.missing or loaded.unexpected):
        way_out = "map pairs them, strict=False leaves them"
        if loaded.exchangeable:
            way_out += ", in_order=True pairs those of equal shape in order"
        raise UsageError(f"{left_over(loaded, own, state_dict)}; {way_out}")
    with torch.no_grad():
        for name, theirs in pairing.found.items():
            own[name].copy_(tensors[theirs].reshape(own[name].shape))
    return loaded


def tensor_of(state_dict: Mapping[str, Tensor], name: str) -> Tensor:
    """The tensor that `Loaded.matched` calls so: with `^T` behind its name, its transpose."""
    kept = name.removesuffix(TURNED)
    return state_dict[name] if name in state_dict else state_dict[kept].t()


def remember_names(model: fx.GraphModule, names: Mapping[str, str]) -> None:
    """Puts what the spec of an import knows where `load_weights` finds it."""
    if names:
        # A copy of the module keeps its meta, and pickle its attributes.
        model.meta["imported_weights"] = vars(model)["imported_weights"] = dict(names)


def imported_names(model: nn.Module) -> dict[str, str]:
    """Of an imported network, our name of each tensor and its name in the source."""
    kept = getattr(model, "meta", {}).get("imported_weights")
    known: dict[str, str] = kept or getattr(model, "imported_weights", {})
    names = {}
    for name in model.state_dict():
        module, _, last = name.rpartition(".")
        if name in known:
            names[name] = known[name]
        elif module in known:
            names[name] = f"{known[module]}.{last}"
    return names


def _twins(model: nn.Module) -> dict[str, str]:
    """Names of parameters that have another name before, which is beside them."""
    first: dict[int, str] = {}
    named = model.named_parameters(remove_duplicate=False)
    twins = {name: first.setdefault(id(parameter), name) for name, parameter in named}
    return {name: other for name, other in twins.items() if other != name}


def _aliases(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Names of tensors that are another one before, which is beside them: the same numbers."""
    first: dict[tuple[object, ...], str] = {}
    aliases = {}
    for name, tensor in tensors.items():
        if tensor.numel() and tensor.device.type != "meta":
            place = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
            other = first.setdefault(place, name)
            if other != name:
                aliases[name] = other
    return aliases


def load_checkpoint(model: nn.Module, file: str | os.PathLike[str]) -> None:
    """Copies the weights of a file into `model`, as `load_weights` does.

    The file is a `.safetensors`, or holds a state dict, alone or under `model` or `state_dict`.

    Raises:
        UsageError: it cannot be read, is no such file, or its tensors do not fit the model.
    """
    state = read_state(file)
    loaded = load_weights(model, state, strict=False)
    if loaded.missing or loaded.unexpected:
        raise UsageError(f"{os.fspath(file)}: {left_over(loaded, model.state_dict(), state)}")


def read_state(file: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The state dict of a `.safetensors`, or in a file of `torch.save`, alone or under `model` or
    `state_dict`; it can run nothing.

    Raises:
        UsageError: it cannot be read, or holds none.
    """
    name = os.fspath(file)
    try:
        if name.endswith(".safetensors"):
            return _read_safetensors(name)
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


def _read_safetensors(name: str) -> dict[str, Tensor]:
    load = safetensors().load_file
    try:
        state: dict[str, Tensor] = load(name)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - of a package that states no class of its own
        raise UsageError(f"{name}: is damaged, or no safetensors: {reason_of(error)}") from None
    if not state:
        raise UsageError(f"{name}: holds no tensors")
    return state


def safetensors() -> ModuleType:
    """The package's functions for PyTorch. Raises `UsageError` if it is not installed."""
    try:
        return import_module("safetensors.torch")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "safetensors":
            raise
        raise UsageError("safetensors is not installed: pip install safetensors") from None


def one_name_each(model: nn.Module) -> dict[str, Tensor]:
    """The state dict without further names of a parameter, which `load_weights` does without."""
    twins = _twins(model)
    return {
        name: each.contiguous() for name, each in model.state_dict().items() if name not in twins
    }


def left_over(loaded: Loaded, own: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> str:
    """Names tensors of either side that have no counterpart, with their shapes, and why."""
    if loaded.exchangeable:
        one, other = loaded.exchangeable[0]
        count = len(own) - len(loaded.matched)
        return (
            f"{one} and {other}, both {tuple(theirs[one].shape)}, could change places unnoticed:"
            f" no name says which of the model's tensors they are ({count} are unpaired)"
        )
    parts = []
    sides = (("model", loaded.missing, own), ("state dict", loaded.unexpected, theirs))
    for side, names, tensors in sides:
        if names:
            shown = ", ".join(
                f"{name} {tuple(tensors[name].shape)}" for name in names[:NAMED_IN_ERRORS]
            )
            more = " …" if len(names) > NAMED_IN_ERRORS else ""
            parts.append(f"{len(names)} of the {side}: {shown}{more}")
    alike = {trimmed(own[name].shape) for name in loaded.missing}
    if alike & {trimmed(theirs[name].shape) for name in loaded.unexpected}:
        parts.append("which of equal shape belong together does not follow from their names")
    if any(may_be_turned(theirs[name].shape) for name in loaded.unexpected):
        parts.append("a square matrix may be the transpose of a layer's weight")
    return f"tensors without a counterpart, {'; '.join(parts)}"


@torch.no_grad()
def put_weights(model: nn.Module, values: Iterable[Tensor]) -> None:
    """Copies values into the model's parameters, in their order."""
    for weight, value in zip(model.parameters(), values, strict=True):
        weight.copy_(value)

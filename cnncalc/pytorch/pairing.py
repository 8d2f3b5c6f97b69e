"""Which tensor of a state dict is which of a model's: by what is known, by name, by shape.

Order is no reason: modules are declared in one order and called in another. What is paired follows
from a map, from names, or from a shape that no other tensor has. Nothing here needs PyTorch.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from cnncalc.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Shapes = Mapping[str, Sequence[int]]

BATCHES = "num_batches_tracked"
ROLES = {"weight", "bias", "running_mean", "running_var", BATCHES}
"""What the tensors of PyTorch's layers are called in them."""
WRAPPERS = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""
PROVEN = Path(__file__).with_name("proven_pairings.txt")
"""Pairings in order that a test has compared by their outputs: a digest and a name each."""
TURNED = "^T"
"""Behind a name of theirs: the transpose of that matrix."""
SCOPES = re.compile(r"(residual|concat|add|multiply|branch)\d+|body|shortcut")
"""Scopes that a spec adds to the path of a module."""


class Pairing:
    """Pairs of our names and theirs, found so far.

    Args:
        own, theirs: the shapes of both sides, by name.
        twins, aliases: names of ours, and of theirs, for a tensor that has another name before.
        alike: whether two tensors of theirs hold the same numbers, so that either will do.
        in_order: whether those of equal shape and role follow each other alike on both sides.
    """

    def __init__(
        self,
        own: Shapes,
        theirs: Shapes,
        *,
        twins: Mapping[str, str],
        aliases: Mapping[str, str],
        alike: Callable[[str, str], bool],
        in_order: bool = False,
    ) -> None:
        self.own = {name: trimmed(shape) for name, shape in own.items()}
        self.theirs = {name: trimmed(shape) for name, shape in theirs.items()}
        self.turnable = {name for name, shape in theirs.items() if may_be_turned(shape)}
        self.twins = twins
        self.aliases = aliases
        self.alike = alike
        self.in_order = in_order
        self.found: dict[str, str] = {}
        self.ordered: dict[str, str] = {}
        """Those of `found` that nothing but the order of both sides says."""
        self.exchangeable: tuple[tuple[str, str], ...] = ()
        """Tensors of theirs that could change places unnoticed, and so are not paired."""

    def run(self, chosen: Mapping[str, str], known: Mapping[str, str]) -> None:
        """Pairs by `chosen`, then by what is `known` of an imported spec, by names and shapes."""
        self._choose(chosen)
        self._add(self._siblings().items())
        for ours, theirs in known.items():  # of which several may be one: a module called twice
            there = theirs in self.theirs and self.own.get(ours) == self.theirs[theirs]
            if there and ours not in self.found:
                self.found[ours] = theirs
        given = {*self.found, *self.twins}
        self._add((name, name) for name in self.own)
        self._add(self._by_path().items())
        while self._add(self._siblings().items()) or self._add(self._singles().items()):
            pass
        self._rest()
        for twin, first in self.twins.items():
            if first in self.found:
                self.found.setdefault(twin, self.found[first])
        self._drop_mixed(given)

    def unused(self) -> list[str]:
        """Tensors of theirs that are paired under no name."""
        used = {self.aliases.get(name, name) for name in self.found.values()}
        return [name for name in self.theirs if self.aliases.get(name, name) not in used]

    def _add(self, pairs: Iterable[tuple[str, str]]) -> bool:
        """Takes those of equal shape whose names are free on both sides; whether there were any."""
        taken, before = {*self.found.values()}, len(self.found)
        for ours, theirs in pairs:
            free = ours not in self.found and theirs not in taken
            shape = self.own.get(ours)
            if free and shape is not None and shape == self.theirs.get(theirs):
                self.found[ours] = theirs
                taken.add(theirs)
        return len(self.found) > before

    def _choose(self, chosen: Mapping[str, str]) -> None:
        for ours, theirs in chosen.items():
            if ours not in self.own or theirs not in self.theirs:
                side, wrong = ("model", ours) if ours not in self.own else ("state dict", theirs)
                raise UsageError(f"map: the {side} has no tensor {wrong!r}")
            if self.own[ours] != self.theirs[theirs]:
                shapes = f"{self.own[ours]} and {self.theirs[theirs]}"
                raise UsageError(f"map: {ours} and {theirs} differ in shape: {shapes}")
        self.found = dict(chosen)

    def _free(self) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        unused = {*self.unused()}
        return (
            {
                name: shape
                for name, shape in self.own.items()
                if name not in self.found and name not in self.twins
            },
            {
                name: shape
                for name, shape in self.theirs.items()
                if name in unused and name not in self.aliases
            },
        )

    def _by_path(self) -> dict[str, str]:
        """Equal names but for scopes of a spec, each side's only one: `residual1.body.stem.weight`
        and `stem.weight`. Numbers alone say nothing: specs and modules count differently.
        """
        own, theirs = self._free()
        short: dict[str, list[str]] = defaultdict(list)
        for name in own:
            kept = (part for part in name.split(".") if not SCOPES.fullmatch(part))
            short[".".join(kept)].append(name)
        return {
            short[name][0]: name
            for name in theirs
            if len(short.get(name, ())) == 1 and not any(map(str.isdigit, name.split(".")))
        }

    def _siblings(self) -> dict[str, str]:
        """Tensors of modules of which another tensor is paired: `bias` beside `weight`."""
        parents = {parent(ours): parent(theirs) for ours, theirs in self.found.items()}
        return {
            name: theirs
            for name in self.own
            if parent(name) in parents
            and (theirs := f"{parents[parent(name)]}{last(name)}") in self.theirs
            and theirs not in self.turnable
        }

    def _singles(self) -> dict[str, str]:
        """Those of which each side has one of that shape and role, and no way round."""
        return {
            ours[0]: theirs[0]
            for ours, theirs in self._groups()
            if len(ours) == len(theirs) == 1 and theirs[0] not in self.turnable
        }

    def _groups(self) -> list[tuple[list[str], list[str]]]:
        """What is free on both sides, by shape and role."""
        own, theirs = self._free()
        others = _grouped(
            {
                name: shape
                for name, shape in theirs.items()
                if last(name) in ROLES or name not in self.turnable
            }
        )
        groups = []
        for shape, names in _grouped(own).items():
            given = {name: last(name) for name in others.get(shape, ())}
            words = {*given.values()} - ROLES
            roles = {name: _role(name, words) for name in names}
            # Words that say nothing to us mean the one role that no other name of theirs has.
            rest = {*roles.values()} - {*given.values()}
            if len(rest) == 1:
                strange = words - {*roles.values()}
                given |= {name: next(iter(rest)) for name in given if given[name] in strange}
            for role in dict.fromkeys(roles.values()):
                ours = [name for name in names if roles[name] == role]
                groups.append((ours, [name for name in given if given[name] == role]))
        return groups

    def _rest(self) -> None:
        """Groups of several: in order where that is vouched for, proven, or makes no difference."""
        groups = [(ours, theirs) for ours, theirs in self._groups() if len(ours) == len(theirs) > 0]
        pairs = {our: their for group in groups for our, their in zip(*group, strict=True)}
        if pairs and (self.in_order or digest(pairs) in proven()):
            self.ordered = pairs
        else:
            unsure = [theirs for _, theirs in groups if not self._are_alike(theirs)]
            groups = [group for group in groups if group[1] not in unsure]
            self.exchangeable = tuple((group[0], group[1]) for group in unsure if len(group) > 1)
        for ours, theirs in groups:
            self._add(zip(ours, theirs, strict=True))

    def _are_alike(self, theirs: list[str]) -> bool:
        """Whether it makes no difference which of them is which."""
        return self.turnable.isdisjoint(theirs) and all(
            self.alike(one, other) for one, other in pairwise(theirs)
        )

    def _drop_mixed(self, given: set[str]) -> None:
        """A module of ours is not made of parts of two of theirs, unless that was `given`."""
        sources: dict[str, set[str]] = defaultdict(set)
        for ours, theirs in self.found.items():
            if ours not in given:
                sources[parent(ours)].add(parent(theirs))
        for ours in [*self.found]:
            if ours not in given and len(sources[parent(ours)]) > 1:
                del self.found[ours]
                self.ordered.pop(ours, None)


def digest(pairs: Mapping[str, str]) -> str:
    """What a pairing is recognised by; counts of batches, which not every file has, are no part."""
    names = (f"{ours}={theirs}" for ours, theirs in pairs.items() if last(ours) != BATCHES)
    text = "\n".join(sorted(names))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def proven() -> frozenset[str]:
    return frozenset(line.split()[0] for line in PROVEN.read_text(encoding="utf-8").splitlines())


def unwrapped(names: Iterable[str]) -> dict[str, str]:
    """Names without what a wrapper put before every one of them -> the names as they are."""
    found = {name: name for name in names}
    for wrapper in WRAPPERS:
        if found and all(name.startswith(wrapper) for name in found):
            found = {name.removeprefix(wrapper): whole for name, whole in found.items()}
    return found


def trimmed(shape: Iterable[int]) -> tuple[int, ...]:
    """The shape without trailing axes of length 1."""
    sizes = [*shape]
    while sizes and sizes[-1] == 1:
        sizes.pop()
    return tuple(sizes)


def last(name: str) -> str:
    return name.rpartition(".")[2]


def parent(name: str) -> str:
    """With its dot; of a name without one, nothing."""
    return name[: len(name) - len(last(name))]


def may_be_turned(shape: Sequence[int]) -> bool:
    """Whether it may be the W of `x @ W`, which is a layer's weight transposed, of one shape."""
    return len(shape) == 2 and shape[0] == shape[1] > 1


def _grouped(shapes: Mapping[str, tuple[int, ...]]) -> dict[tuple[int, ...], list[str]]:
    found: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for name, shape in shapes.items():
        found[shape].append(name)
    return found


def _role(name: str, words: set[str]) -> str:
    """The one of their own words that a name of ours holds, numbered or not; else its last part."""
    parts = (part.rstrip("0123456789") for part in name.split("."))
    return next((part for part in parts if part in words), last(name))

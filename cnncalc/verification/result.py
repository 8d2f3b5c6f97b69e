"""What `verify` found: each property as the table claims it and as PyTorch has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from cnncalc.wording import some

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NAMED = 10
Value = int | float | tuple[int | None, ...] | str


class Check(NamedTuple):
    """One property of a layer, or of the whole network."""

    name: str
    claimed: Value
    measured: Value | None
    """None: not measured."""

    @property
    def ok(self) -> bool:
        """Whether nothing measured contradicts the claim."""
        return self.measured is None or self.measured == self.claimed


class LayerChecks(NamedTuple):
    """What was checked of one row of the table."""

    name: str
    checks: tuple[Check, ...]

    @property
    def differences(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.ok)

    @property
    def ok(self) -> bool:
        return not self.differences


@dataclass(frozen=True, repr=False)
class Verification:
    """The table of a network beside what its module was measured to be."""

    name: str
    input_shape: tuple[int, ...]
    layers: tuple[LayerChecks, ...]
    totals: tuple[Check, ...]
    """Of the whole module."""
    notes: tuple[str, ...]
    """What was checked, how, and what was left out."""

    @property
    def ok(self) -> bool:
        """Whether the table is true of the module, as far as it was checked."""
        return all(layer.ok for layer in self.layers) and all(check.ok for check in self.totals)

    @property
    def differing(self) -> tuple[LayerChecks, ...]:
        """The layers of which something was measured that the table does not say."""
        return tuple(layer for layer in self.layers if not layer.ok)

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.ok:
            return "the table is true of the module"
        if not self.differing:
            return "the whole module differs from the table"
        among = f"{len(self.differing):,} of {len(self.layers):,} layers"
        return f"{among} {'differ' if len(self.differing) > 1 else 'differs'} from the table"

    @property
    def reasons(self) -> str:
        """What differs: the layers and their properties, or those of the whole; perhaps nothing."""
        if not self.differing:
            return _names(check for check in self.totals if not check.ok)
        named = [f"{layer.name} ({_names(layer.differences)})" for layer in self.differing]
        return some(named, MAX_NAMED)

    def __str__(self) -> str:
        from cnncalc.verification.table import render

        return render(self)

    def __repr__(self) -> str:
        return f"<Verification of {self.name}: {self.verdict}>"


def _names(checks: Iterable[Check]) -> str:
    return ", ".join(check.name for check in checks)

"""What the tests against published figures share.

A figure either comes out as it was printed, or docs/errata.md says what comes out instead, and
why: `expected` is the only excuse.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import cnncalc
from support.places import ROOT, SPECS, TESTS

ERRATA = ROOT / "docs" / "errata.md"


def reference(name: str) -> dict[str, Any]:
    """The published figures in reference/`name`.json."""
    data: dict[str, Any] = json.loads(
        (TESTS / "reference" / f"{name}.json").read_text(encoding="utf-8")
    )
    return data


_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KiB": 2**10, "MiB": 2**20, "MB": 10**6}


@cache
def _summary(
    spec: str, variant: str | None, side: int | None, parameters: tuple[tuple[str, Any], ...]
) -> cnncalc.Summary:
    file = SPECS / f"{spec}.yaml"
    shape = None if side is None else [3, side, side]
    network: str | Path = file if file.is_file() else spec
    return cnncalc.analyze(
        cnncalc.load(network, variant=variant, parameters=dict(parameters), input=shape)
    )


def summary_of(
    spec: str, variant: str | None = None, side: int | None = None, **parameters: Any
) -> cnncalc.Summary:
    """Of a spec of the tests, or of a bundled network; at 3×side×side if a side is given."""
    return _summary(spec, variant, side, tuple(sorted(parameters.items())))


def write(value: float, like: str) -> str:
    """`value` with the unit and as many decimals as the figure `like`: "4.24 M", "72,855,552"."""
    digits, _, unit = like.partition(" ")
    decimals = len(digits.partition(".")[2])
    return f"{value / _UNITS[unit]:,.{decimals}f}" + (f" {unit}" if unit else "")


@cache
def errata() -> dict[str, tuple[str, str]]:
    """What docs/errata.md lists: where -> published, computed."""
    rows: dict[str, tuple[str, str]] = {}
    for line in ERRATA.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 4 or cells[0] == "Where":
            continue
        if set(cells[0]) <= {"-", ":"}:
            continue
        where, published, computed, why = cells
        assert where not in rows, f"{where} is listed twice"
        assert why, where
        rows[where] = published, computed
    return rows


def expected(where: str, published: str) -> str:
    """What a published figure should come out as: itself, or what docs/errata.md lists for it."""
    listed, computed = errata().get(where, (published, published))
    assert listed == published, f"docs/errata.md quotes {where} as {listed}"
    return computed

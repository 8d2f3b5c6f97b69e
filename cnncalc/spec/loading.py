"""`load`: a network from a path, a bundled name or plain data."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncalc.errors import SpecError, UsageError, shorten
from cnncalc.spec import bundled
from cnncalc.spec.architecture import Architecture
from cnncalc.spec.text import Source, read
from cnncalc.spec.yaml import parse

if TYPE_CHECKING:
    from collections.abc import Mapping


def load(
    spec: str | os.PathLike[str] | Mapping[str, Any],
    *,
    variant: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    input: str | list[int] | None = None,  # noqa: A002 - the file's own word
) -> Architecture:
    """A network from a path, `-` for standard input, a bundled name, or plain data.

    A file in the current folder wins over a bundled network of that name. `parameters` are set
    on top of the `variant`; `input` replaces the file's, as `[3, 256, 256]` or `"3x256x256"`.

    Raises:
        UsageError: there is no such file, network or input shape.
        SpecError: the spec is wrong.
    """
    shape = parse_shape(input) if isinstance(input, str) else input
    if not isinstance(spec, str | os.PathLike):
        architecture = Architecture.from_data(spec, "network")
    else:
        source, found = _find(os.fspath(spec))
        name = "network" if source.name == "<stdin>" else Path(source.name).stem
        try:
            architecture = Architecture.from_data(parse(source), name)
        except SpecError as error:
            raise error.at(source.place((0, 0))) from None
        variant = variant if variant is not None else found
    return architecture.configured(variant=variant, parameters=parameters, input=shape)


def parse_shape(text: str) -> list[int]:
    """`3x256x256`, `3×256×256` or `3,256,256`. Raises `UsageError`."""
    parts = re.split(r"[x×,*\s]+", text.strip().strip("[]").strip().lower())
    if not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
        raise UsageError(f"{shorten(text)} is no input shape; write it as 3x256x256")
    return [int(part) for part in parts]


def _find(spec: str) -> tuple[Source, str | None]:
    """The text of a spec, and the variant that its name stands for."""
    if spec == "-" or os.path.isfile(spec):
        return read(spec), None
    known = bundled.find(spec)
    if known is not None:
        file, variant = known
        source = read(str(file))
        return Source(file.name, source.text), variant
    if os.path.exists(spec) or os.sep in spec:
        return read(spec), None  # a pipe, or an error that says what it is
    raise UsageError(
        f"{spec}: there is no such file or bundled network; {bundled.suggestion(spec)}"
    )

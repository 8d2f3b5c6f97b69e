"""A network as a file that runs without cnncalc: Python source, ONNX, a program; or its weights.

Only what needs it loads PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.atomic_files import draft_of
from cnncalc.errors import UsageError, torch_is_missing
from cnncalc.exporting.python_source import write_source
from cnncalc.spec.architecture import Architecture
from cnncalc.spec.loading import load

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping


def export(
    network: Architecture | str | os.PathLike[str] | Mapping[str, Any],
    file: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    opset: int | None = None,
) -> None:
    """Writes the network for any batch size; the file's ending says how.

    Python source makes the module that `build` does. ONNX and programs hold it in evaluation, .pt
    and .safetensors its weights by the table's names. `weights` is a file that `load_weights` can
    match; without one the weights are those that `build` starts with. `opset` is for ONNX.

    Raises:
        UsageError: an unknown ending, a wrong checkpoint or opset, or a package that is missing.
        SpecError: the spec is wrong.
        OutputError: the network has no such form, or the file cannot be written; what stood
            there before is as it was.
    """
    path = Path(file)
    form = form_of(path)
    options = {"weights": weights, "opset": opset}
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in form.takes:
            raise UsageError(f"{path}: {name} does not go with {path.suffix}{form.why_not}")
    if not isinstance(network, Architecture):
        network = load(network)
    with draft_of(path) as draft:
        form.write(network, draft, **given)


class Form(NamedTuple):
    """What a file may be."""

    write: Callable[..., None]
    """Takes the network, the path to write to, and such options of `takes` as are given."""
    takes: tuple[str, ...]
    what: str
    """In words, for the command line's message."""
    why_not: str = ""
    """Why it takes no more options."""


def form_of(path: Path) -> Form:
    """The form that the ending of a file asks for. Raises `UsageError`."""
    form = FORMS.get(path.suffix.lower())
    if form is None:
        wrong = f"no export has the ending {path.suffix}" if path.suffix else "has no ending"
        raise UsageError(f"{path}: {wrong}; use {', '.join(FORMS)}")
    return form


def _write_source(network: Architecture, file: Path) -> None:
    file.write_text(write_source(network), encoding="utf-8", newline="\n")


def _with_torch(name: str) -> Callable[..., None]:
    """A function of `programs`, which loads PyTorch."""

    def write(network: Architecture, file: Path, **options: Any) -> None:
        try:
            programs = import_module("cnncalc.exporting.programs")
        except ModuleNotFoundError as error:
            raise torch_is_missing(error, f"export to {file.suffix}") from None
        getattr(programs, name)(network, file, **options)

    return write


FORMS = {
    ".py": Form(_write_source, (), "Python source of PyTorch modules", ": source holds no weights"),
    ".onnx": Form(
        _with_torch("write_onnx"), ("weights", "opset"), "ONNX, opset {opset}, any batch size"
    ),
    ".pt2": Form(
        _with_torch("write_program"), ("weights",), "a program of torch.export, any batch size"
    ),
    ".pt": Form(_with_torch("write_state"), ("weights",), "a state dict"),
    ".safetensors": Form(
        _with_torch("write_safetensors"), ("weights",), "a state dict as safetensors"
    ),
}
"""Each ending. The writer of another form is one more row."""

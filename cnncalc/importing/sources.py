"""What `import` is given -> a sketch: `torchvision:resnet50`, `module:factory`, .pt2 or .onnx."""

from __future__ import annotations

import ast
import os
import sys
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncalc.errors import UsageError, did_you_mean, reason_of, shorten, torch_is_missing
from cnncalc.spec import bundled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

    from cnncalc.importing.sketch.operations import Sketch

INPUT_SHAPE = (3, 224, 224)
"""Of networks that say nothing of it."""
VIDEO = (3, 16, 112, 112)
INPUT_SHAPES = {
    "inception_v3": (3, 299, 299),
    **dict.fromkeys(("r3d_18", "mc3_18", "r2plus1d_18"), VIDEO),
}
"""Those of torchvision's networks that are meant for another."""
TORCHVISION = "torchvision"
PLACES = ("torchvision.models", "torchvision.models.segmentation", "torchvision.models.video")
"""Where `torchvision:name` is looked for."""
FORMS = (
    "torchvision:resnet50, package.module:function, file.py:function, a .pt2 file or an .onnx file"
)


def is_file(source: str) -> bool:
    """Whether a source is a file, which may hold anything."""
    return Path(source).suffix.lower() in FILES


def read_source(
    source: str, *, input_shape: Sequence[int] | None = None, call: str | None = None
) -> Sketch:
    """The sketch of what a source names.

    `call` is keyword arguments for the function that makes the module, `"num_classes=10"`.

    Raises:
        UsageError: there is no such thing, it cannot be read or followed, or a package is missing.
    """
    ending = Path(source).suffix.lower()
    if ending in FILES:
        for name, given in (("input shape", input_shape), ("call", call)):
            if given is not None:
                raise UsageError(f"{source}: a {ending} file takes no {name}: it holds its own")
        if not os.path.isfile(source):
            raise UsageError(f"{source}: there is no such file")
        return FILES[ending](source)
    module, colon, name = source.partition(":")
    if not colon or not module or not name:
        raise UsageError(f"{shorten(source)} is nothing to import; {_instead(source)}")
    arguments = parse_call(call or "")
    try:
        with redirect_stdout(sys.stderr), _beside(module):
            return _read_module(source, module, name, arguments, input_shape)
    except ModuleNotFoundError as error:
        raise torch_is_missing(error, "import") from None


def _instead(source: str) -> str:
    """What to do with what names nothing to import."""
    forms = f"give {FORMS}"
    if os.path.isfile(source) or bundled.find(source) is not None:
        return f"{forms}; a spec or bundled network needs none: cnncalc summarize {shorten(source)}"
    return f"did you mean torchvision:{source}? Else {forms}" if source.isidentifier() else forms


@contextmanager
def _beside(module: str) -> Iterator[None]:
    """Lets modules be imported from the current folder too, or from that of a file."""
    folder = str(Path(module).resolve().parent) if module.endswith(".py") else str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def parse_call(text: str) -> dict[str, Any]:
    """Keyword arguments written as in a call, each a literal: nothing is run.

    Raises:
        UsageError: it is anything else.
    """
    wrong = UsageError(
        f"--call {shorten(text)} holds no keyword arguments; write --call 'num_classes=10, width=2'"
    )
    try:
        tree = ast.parse(f"f({text})", mode="eval").body
        if not isinstance(tree, ast.Call) or tree.args or not isinstance(tree.func, ast.Name):
            raise wrong
        arguments = {each.arg: ast.literal_eval(each.value) for each in tree.keywords}
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise wrong from None
    if None in arguments:
        raise wrong
    return {str(key): value for key, value in arguments.items()}


def _read_module(
    source: str,
    module: str,
    name: str,
    arguments: dict[str, Any],
    input_shape: Sequence[int] | None,
) -> Sketch:
    from torch import nn

    from cnncalc.importing.from_torch.program import read_program
    from cnncalc.importing.from_torch.tracing import make, trace

    factory = _in_torchvision(name) if module == TORCHVISION else _named(source, module, name)
    if module == TORCHVISION and "weights" not in arguments:
        arguments = {**_no_downloads(factory), **arguments}
    if isinstance(factory, nn.Module):
        if arguments:
            raise UsageError(f"{source}: is a module already, which takes no --call")
        made = factory
    else:
        made = make(factory, arguments, source)
    known = INPUT_SHAPES.get(name, INPUT_SHAPE) if module == TORCHVISION else INPUT_SHAPE
    hint = "give one sample's shape with --input-shape" if input_shape is None else ""
    program = trace(made, known if input_shape is None else input_shape, source, hint=hint)
    return read_program(program, name.rpartition(".")[2])


def _in_torchvision(name: str) -> Callable[..., Any]:
    places = [import_module(place) for place in PLACES]
    for place in places:
        found: Any = getattr(place, name, None)
        if callable(found):
            return found  # type: ignore[no-any-return]
    known = [each for place in places for each in dir(place) if each.islower() and each[0] != "_"]
    hint = did_you_mean(name, known)
    raise UsageError(f"torchvision has no network {shorten(name)}{'; ' if hint else ''}{hint}")


def _no_downloads(factory: Callable[..., Any]) -> dict[str, Any]:
    """Arguments that keep torchvision from fetching weights, which no table needs."""
    import inspect

    return (
        {"weights_backbone": None}
        if "weights_backbone" in inspect.signature(factory).parameters
        else {}
    )


def _named(source: str, module: str, name: str) -> Callable[..., Any]:
    """A function or class of the user's, whose module is run."""
    from cnncalc.importing.from_torch.tracing import a_thing

    try:
        found: Any = _run_file(source, module) if module.endswith(".py") else _run(source, module)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code
        raise UsageError(f"{source}: importing {module} raises {reason_of(error)}") from None
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            hint = did_you_mean(part, [each for each in dir(found) if each[0] != "_"])
            raise UsageError(
                f"{source}: {module} has no {part!r}{'; ' if hint else ''}{hint}"
            ) from None
    if not callable(found):
        raise UsageError(
            f"{source}: is {a_thing(found)}, not a function or class that makes a module"
        )
    return found  # type: ignore[no-any-return]


def _run(source: str, module: str) -> ModuleType:
    if find_spec(module.partition(".")[0]) is None:
        raise UsageError(f"{source}: there is no module {module.partition('.')[0]!r}")
    return import_module(module)


def _run_file(source: str, file: str) -> ModuleType:
    """The module that a file is, by a name that hides no other: `types.py` may be a user's."""
    path = Path(file).resolve()
    if not path.is_file():
        raise UsageError(f"{source}: there is no file {file}")
    name = f"file_{path.stem}"
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)  # where its dataclasses look for it
    spec.loader.exec_module(module)
    return module


def _read_pt2(file: str) -> Sketch:
    try:
        from cnncalc.importing.from_pt2.program import read_file
        from cnncalc.importing.from_torch.program import read_program
    except ModuleNotFoundError as error:
        raise torch_is_missing(error, f"import of {file}") from None
    name = Path(file).stem
    return read_program(read_file(file, name), name)


def _read_onnx(file: str) -> Sketch:
    try:
        from cnncalc.importing.from_onnx.file import read_file
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise UsageError(f"{file}: import of .onnx needs onnx: pip install onnx") from None
    return read_file(file)


FILES = {".pt2": _read_pt2, ".onnx": _read_onnx}
"""Files by their endings."""

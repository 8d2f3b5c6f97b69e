"""The bundled networks: found by name, or by the name of a variant, from any folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cnncalc.errors import did_you_mean
from cnncalc.source import parse, read

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_NAME = 100


def folder() -> Path:
    """Where they lie: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "architectures"
    return installed if installed.is_dir() else package.parent / "architectures"


def files() -> list[Path]:
    """The bundled files, by name."""
    return sorted(folder().glob("*.yaml"))


def find(name: str) -> tuple[Path, str | None] | None:
    """The file of a network, and the variant if the name is a variant's; None if there is none."""
    name = name.removesuffix(".yaml")
    if not name.isidentifier() or len(name) > LONGEST_NAME:
        return None
    file = folder() / f"{name}.yaml"
    if file.is_file():
        return file, None
    mention = f"{name}:".encode()
    for file in files():
        if mention in file.read_bytes() and name in _variants(file):
            return file, name
    return None


def names() -> list[str]:
    """Every name that `find` knows: files and variants."""
    return [name for file in files() for name in (file.stem, *_variants(file))]


def suggestion(name: str) -> str:
    """What to do about a name that `find` does not know."""
    hint = did_you_mean(name.removesuffix(".yaml"), names())
    return hint if hint.startswith("did") else "cnncalc list shows the bundled networks"


def entries(text: str = "") -> Iterator[tuple[Path, str | None]]:
    """Each network once: a file without variants, or each variant of a family.

    Those whose name, family or source holds `text`, in whatever case.
    """
    text = text.casefold()
    for file in files():
        head = _head(file)
        whole = text in f"{file.stem}\n{head.name}\n{head.source}".casefold()
        for variant in head.variants or (None,):
            if whole or text in (variant or "").casefold():
                yield file, variant


class _Head(NamedTuple):
    name: str
    source: str
    variants: tuple[str, ...]


@cache
def _head(file: Path) -> _Head:
    data = parse(read(str(file)))
    name, source, variants = (data.get(key) for key in ("name", "source", "variants"))
    return _Head(str(name or ""), str(source or ""), tuple(variants or ()))


def _variants(file: Path) -> tuple[str, ...]:
    return _head(file).variants

"""The bundled networks: found by name, or by the name of a variant, from any folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cnncalc.errors import did_you_mean
from cnncalc.spec.text import read
from cnncalc.spec.yaml import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_NAME = 100


def folder() -> Path:
    """Where they lie: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
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
    known = files()
    file = folder() / f"{name}.yaml"
    if file in known:  # where LeNet.yaml opens lenet.yaml, it is no name of a network still
        return file, None
    mention = f"{name}:".encode()
    for file in known:
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


def entries() -> Iterator[tuple[Path, str | None]]:
    """Each network once: a file without variants, or each variant of a family."""
    for file in files():
        for variant in _variants(file) or (None,):
            yield file, variant


@cache
def _variants(file: Path) -> tuple[str, ...]:
    data = parse(read(str(file)))
    return tuple(data.get("variants") or ())

"""CIFAR's python files, unpacked or in their tar archive.

They are pickles, which can run any code when they are loaded. So they are read by an unpickler
that knows arrays, and the numbers, bytes, texts, lists and dicts that pickle makes by itself: this
is safe whoever wrote the file, where a checksum would refuse every copy but the original one.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from cnncalc.errors import UsageError
from cnncalc.training.data.dataset import Source, Split, Statistics, reading
from cnncalc.training.data.readers.named import Published
from cnncalc.training.data.readers.places import find
from cnncalc.training.data.readers.published import published
from cnncalc.unpacking import Unpacked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Layout(NamedTuple):
    """The files of one of the two sets, and what they call what they hold."""

    train: tuple[str, ...]
    test: str
    meta: str
    folder: str
    archive: str
    labels: str
    names: str


_PACKED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}


def read(layout: Layout, directory: Path, entry: Published) -> Source | None:
    """The two splits, or None if their files are not there.

    Raises:
        UsageError: one of the files is missing, damaged or holds what no such file holds.
    """
    name = entry.name
    needed = [*layout.train, layout.test, layout.meta]
    own = (layout.folder, f"{name}/{layout.folder}", name)
    paths = find(directory, [(file,) for file in needed], own)
    if paths:
        contents = {path.name: (path, path.read_bytes()) for path in paths}
    else:
        packed = (layout.archive, layout.archive.removesuffix(".gz"))
        archive = find(directory, [packed], (name,))
        if not archive:
            return None
        contents = _unpacked(archive[0], needed)
    batches = [_batch(*contents[file], layout.labels) for file in layout.train]
    return Source(
        name,
        _names(*contents[layout.meta], layout.names),
        train=Split(*(torch.cat(tensors) for tensors in zip(*batches, strict=True))),
        test=_batch(*contents[layout.test], layout.labels),
        published=entry.statistics,
    )


def _unpacked(archive: Path, needed: list[str]) -> dict[str, tuple[Path, bytes]]:
    """The files of an archive by name; nothing is written to the disk."""
    contents = {}
    with reading(archive, "a tar archive"), _opener(archive)(archive, "rb") as packed:
        stream: Any = Unpacked(packed, archive)
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                file = member.name.rsplit("/", 1)[-1]
                if member.isfile() and not member.issparse() and file in needed:
                    content = tar.extractfile(member)
                    assert content is not None
                    contents[file] = (archive / member.name, content.read())
    missing = [file for file in needed if file not in contents]
    if missing:
        raise UsageError(f"{archive} holds no {', '.join(missing)}")
    return contents


def _opener(archive: Path) -> Callable[..., Any]:
    """By the first bytes, whatever the name says."""
    with archive.open("rb") as file:
        head = file.read(6)
    return next((opener for magic, opener in _PACKED.items() if head.startswith(magic)), open)


def _batch(path: Path, content: bytes, key: str) -> Split:
    with reading(path, "a batch of CIFAR"):
        data = unpickle(content)
        pixels, labels = np.asarray(data["data"]), np.asarray(data[key], dtype=np.int64)
        if pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3072):
            raise ValueError(
                f"its data are {pixels.dtype} {pixels.shape}, not uint8 ({len(labels)}, 3072)"
            )
        images = torch.from_numpy(pixels.reshape(-1, 3, 32, 32).copy())
        return Split(images, torch.from_numpy(labels))


def _names(path: Path, content: bytes, key: str) -> tuple[str, ...]:
    with reading(path, "the class names of CIFAR"):
        return tuple(str(name) for name in unpickle(content)[key])


def unpickle(content: bytes) -> Any:
    """What a pickle of arrays and plain data holds.

    Raises:
        pickle.UnpicklingError: it names anything else; nothing of it was called.
    """
    return _ArraysOnly(io.BytesIO(content), encoding="latin1").load()


class _ArraysOnly(pickle.Unpickler):
    """Knows the names that pickled arrays use, under NumPy 1 and 2, and no others."""

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core", "numpy._core")
        try:
            return _KNOWN[f"{module}.{name}"]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no data") from None


def _array(*_: object) -> np.ndarray[Any, Any]:
    """For the pickle to fill, which says shape, type and bytes thereafter."""
    return np.empty(0, np.uint8)


def _dtype(code: str, *_: object) -> np.dtype[Any]:
    return np.dtype(code)


def _encode(text: str, encoding: str) -> bytes:
    """Bytes, as Python 3 writes them for Python 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}")
    return text.encode("latin1")


_KNOWN: dict[str, Any] = {
    "numpy.ndarray": "an argument that `_array` ignores",
    "numpy._core.multiarray._reconstruct": _array,
    "numpy.dtype": _dtype,
    "_codecs.encode": _encode,
}

_CIFAR10 = Layout(
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test="test_batch",
    meta="batches.meta",
    folder="cifar-10-batches-py",
    archive="cifar-10-python.tar.gz",
    labels="labels",
    names="label_names",
)
_CIFAR100 = Layout(
    train=("train",),
    test="test",
    meta="meta",
    folder="cifar-100-python",
    archive="cifar-100-python.tar.gz",
    labels="fine_labels",
    names="fine_label_names",
)

DATA_SETS = (
    published(
        Published(
            *("cifar10", "CIFAR10", (), 10, (3, 32, 32)),
            Statistics((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
            _CIFAR10.archive,
        ),
        "50,000 + 10,000 photographs, 32×32, RGB, 10 classes",
        partial(read, _CIFAR10),
    ),
    published(
        Published(
            *("cifar100", "CIFAR100", (), 100, (3, 32, 32)),
            Statistics((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
            _CIFAR100.archive,
        ),
        "50,000 + 10,000 photographs, 32×32, RGB, 100 classes",
        partial(read, _CIFAR100),
    ),
)

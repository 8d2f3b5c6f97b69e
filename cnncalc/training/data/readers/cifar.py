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
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cnncalc.errors import UsageError
from cnncalc.training.data.dataset import Source, Split, reading
from cnncalc.training.data.readers.places import find
from cnncalc.unpacking import Unpacked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cnncalc.training.data.readers.published import Published

_TRAIN = {"cifar10": [f"data_batch_{number}" for number in range(1, 6)], "cifar100": ["train"]}
_TEST = {"cifar10": "test_batch", "cifar100": "test"}
_META = {"cifar10": "batches.meta", "cifar100": "meta"}
_FOLDER = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
_ARCHIVE = {"cifar10": "cifar-10-python.tar.gz", "cifar100": "cifar-100-python.tar.gz"}
_LABELS = {"cifar10": ("labels", "label_names"), "cifar100": ("fine_labels", "fine_label_names")}

_PACKED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}


def read(directory: Path, entry: Published) -> Source | None:
    """The two splits, or None if their files are not there.

    Raises:
        UsageError: one of the files is missing, damaged or holds what no such file holds.
    """
    name = entry.name
    needed = [*_TRAIN[name], _TEST[name], _META[name]]
    own = (_FOLDER[name], f"{name}/{_FOLDER[name]}", name)
    paths = find(directory, [(file,) for file in needed], own)
    if paths:
        contents = {path.name: (path, path.read_bytes()) for path in paths}
    else:
        archive = find(directory, [(_ARCHIVE[name], _ARCHIVE[name].removesuffix(".gz"))], (name,))
        if not archive:
            return None
        contents = _unpacked(archive[0], needed)
    labels_key, names_key = _LABELS[name]
    batches = [_batch(*contents[file], labels_key) for file in _TRAIN[name]]
    return Source(
        name,
        _names(*contents[_META[name]], names_key),
        train=Split(*(torch.cat(tensors) for tensors in zip(*batches, strict=True))),
        test=_batch(*contents[_TEST[name]], labels_key),
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

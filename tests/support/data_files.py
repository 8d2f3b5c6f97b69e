"""Small data sets in the formats of the published ones, written without the code under test."""

from __future__ import annotations

import gzip
import pickle
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy", reason="numpy, and so PyTorch, is not installed")

Arrays = tuple[Any, Any]


def samples(count: int, shape: tuple[int, ...], classes: int, seed: int) -> Arrays:
    """Random images (count, *shape), and labels in which every class has its turn."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (count, *shape), dtype=np.uint8)
    return images, generator.permutation(np.arange(count) % classes)


def idx(array: np.ndarray[Any, Any]) -> bytes:
    """An IDX file of bytes: two zeros, 8 for bytes, the number of axes, sizes, numbers."""
    head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def write_mnist(folder: Path, packed: bool = False, dotted: bool = False) -> tuple[Arrays, Arrays]:
    """The four files of MNIST; what they hold."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = samples(40, (28, 28), 10, 1), samples(20, (28, 28), 10, 2)
    for stem, (images, labels) in zip(("train", "t10k"), splits, strict=True):
        for what, array in (("images-idx3", images), ("labels-idx1", labels)):
            name = f"{stem}-{what}-ubyte"
            name = name.replace("-idx", ".idx") if dotted else name
            content = gzip.compress(idx(array)) if packed else idx(array)
            (folder / (f"{name}.gz" if packed else name)).write_bytes(content)
    return splits


def write_cifar(folder: Path, hundred: bool = False, protocol: int = 2) -> tuple[Arrays, Arrays]:
    """The pickles of CIFAR-10 or CIFAR-100, in their folder; what they hold."""
    classes, key = (100, "fine_labels") if hundred else (10, "labels")
    place = folder / ("cifar-100-python" if hundred else "cifar-10-batches-py")
    place.mkdir(parents=True, exist_ok=True)
    train, test = samples(classes, (3, 32, 32), classes, 3), samples(12, (3, 32, 32), 10, 4)
    if hundred:
        batches: dict[str, Arrays] = {"train": train, "test": test}
    else:
        parts = zip(np.split(train[0], 5), np.split(train[1], 5), strict=True)
        batches = {f"data_batch_{number}": part for number, part in enumerate(parts, start=1)}
        batches["test_batch"] = test
    for name, (images, labels) in batches.items():
        batch = {
            "batch_label": f"a batch, {name}",
            "data": images.reshape(len(images), 3072),
            key: labels.tolist(),
            "filenames": [f"{label}.png" for label in labels],
        }
        (place / name).write_bytes(pickle.dumps(batch, protocol))
    names = [f"kind{number:03d}" for number in range(classes)]
    meta = {"fine_label_names": names} if hundred else {"label_names": names}
    (place / ("meta" if hundred else "batches.meta")).write_bytes(pickle.dumps(meta, protocol))
    return train, test


def pack(folder: Path, archive: Path) -> None:
    """A folder as a .tar.gz of that folder."""
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)


def write_svhn(folder: Path) -> tuple[Arrays, Arrays]:
    """The two .mat files of SVHN, in which 10 stands for the digit 0; what they hold."""
    from scipy.io import savemat

    folder.mkdir(parents=True, exist_ok=True)
    splits = samples(30, (3, 32, 32), 10, 5), samples(11, (3, 32, 32), 10, 6)
    for name, (images, labels) in zip(("train", "test"), splits, strict=True):
        digits = np.where(labels == 0, 10, labels).astype(np.uint8).reshape(-1, 1)
        content = {"X": images.transpose(2, 3, 1, 0), "y": digits}
        savemat(folder / f"{name}_32x32.mat", content, do_compression=True)
    return splits


def write_images(
    folder: Path,
    classes: dict[str, int],
    *,
    size: tuple[int, int] = (8, 6),
    mode: str = "RGB",
    suffix: str = ".png",
    seed: int = 7,
) -> dict[str, np.ndarray[Any, Any]]:
    """Random images (width, height) in folders of their classes; each path and its pixels."""
    from PIL import Image

    generator = np.random.default_rng(seed)
    written = {}
    for name, count in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            shape = (size[1], size[0], *((3,) if mode == "RGB" else ()))
            pixels = generator.integers(0, 256, shape, dtype=np.uint8)
            path = folder / name / f"{number}{suffix}"
            Image.fromarray(pixels).save(path)
            written[str(path)] = pixels
    return written


def write_npz(folder: Path) -> tuple[Arrays, Arrays]:
    """An archive of arrays, the only one in its folder; what it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    (x, y), (x_test, y_test) = samples(30, (3, 8, 8), 10, 8), samples(10, (3, 8, 8), 10, 9)
    np.savez(folder / "arrays.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    return (x, y), (x_test, y_test)


EXAMPLES: dict[str, Callable[[Path], object]] = {
    "mnist": write_mnist,
    "fashion_mnist": write_mnist,
    "kmnist": write_mnist,
    "cifar10": write_cifar,
    "cifar100": lambda folder: write_cifar(folder, hundred=True),
    "svhn": write_svhn,
    "imagefolder": lambda folder: write_images(folder, {str(number): 5 for number in range(10)}),
    "npz": write_npz,
}
"""What writes a small one of each data set that reads a folder or a file into a folder."""

"""Files of the published data sets: read as they were written, and as torchvision reads them."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
from support.data_files import Arrays, idx, pack, write_cifar, write_images, write_mnist, write_svhn

from cnncalc import UsageError

np = pytest.importorskip("numpy", reason="numpy, and so PyTorch, is not installed")
torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from cnncalc.training.data import DataSet, Split, load_data  # noqa: E402
from cnncalc.training.data.readers.cifar import unpickle  # noqa: E402
from cnncalc.training.data.readers.idx import read_idx  # noqa: E402


def load(name: str, directory: Path, **options: Any) -> DataSet:
    shape = (1, 28, 28) if "mnist" in name else (3, 32, 32)
    outputs = 100 if name == "cifar100" else 10
    return load_data(
        name, **{"input_shape": shape, "outputs": outputs, "directory": directory, **options}
    )


def holds(split: Any, arrays: Arrays) -> bool:
    assert isinstance(split, Split)
    images, labels = arrays
    assert split.images.dtype == torch.uint8
    assert split.labels.dtype == torch.int64
    return np.array_equal(split.images.numpy().reshape(images.shape), images) and np.array_equal(
        split.labels.numpy(), labels
    )


@pytest.mark.parametrize("packed", [False, True], ids=["raw", "gz"])
@pytest.mark.parametrize("dotted", [False, True], ids=["ubyte", "dotted"])
@pytest.mark.parametrize("below", ["", "mnist", "MNIST/raw", "anything"])
def test_idx_files_are_found_and_read(
    tmp_path: Path, packed: bool, dotted: bool, below: str
) -> None:
    train, test = write_mnist(tmp_path / below, packed, dotted)

    data = load("mnist", tmp_path)

    assert holds(data.train, train)
    assert holds(data.test, test)
    assert data.train[0].shape == (40, 1, 28, 28)
    assert data.validation is None
    assert (data.mean, data.std) == ((0.1307,), (0.3081,))
    assert data.classes == tuple("0123456789")


@pytest.mark.parametrize(
    ("name", "reader", "first"),
    [("fashion_mnist", "FashionMNIST", "T-shirt/top"), ("kmnist", "KMNIST", "o")],
)
def test_idx_against_torchvision(tmp_path: Path, name: str, reader: str, first: str) -> None:
    datasets = pytest.importorskip("torchvision").datasets
    write_mnist(tmp_path / reader / "raw")
    theirs = getattr(datasets, reader)(str(tmp_path), train=False)

    data = load(name, tmp_path)

    assert holds(data.test, (theirs.data.numpy(), theirs.targets.numpy()))
    assert data.classes == tuple(theirs.classes)
    assert data.classes[0] == first


def test_folder_of_the_data_set_goes_before_others(tmp_path: Path) -> None:
    write_mnist(tmp_path / "MNIST" / "raw")
    write_mnist(tmp_path / "FashionMNIST" / "raw")
    images = np.zeros((10, 28, 28))
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(idx(images))
    (tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(10)))

    assert not load("mnist", tmp_path).train[0].any()
    assert load("fashion_mnist", tmp_path).train[0].any()


def test_two_folders_are_not_guessed_between(tmp_path: Path) -> None:
    write_mnist(tmp_path / "b")
    write_mnist(tmp_path / "a")

    with pytest.raises(UsageError, match=r"a and .*b both hold such files; name one"):
        load("mnist", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not begin as a file of bytes with 3 axes"),
        (idx(np.zeros(7)), "does not begin as a file of bytes with 3 axes"),
        (idx(np.zeros((2, 28, 28)))[:-1], "less than the 1,568 bytes it speaks of"),
        (idx(np.zeros((2, 28, 28))) + b"x", "more than the 1,568 bytes"),
        (bytes((0, 0, 8, 3)) + b"\xff" * 12, "less than the 79,228,"),
        (bytes((0, 0, 13, 3)) + bytes(12), "does not begin"),
    ],
)
def test_damaged_idx(tmp_path: Path, content: bytes, message: str) -> None:
    write_mnist(tmp_path)
    file = tmp_path / "train-images-idx3-ubyte"
    file.write_bytes(content)

    with pytest.raises(UsageError, match=message) as caught:
        load("mnist", tmp_path)
    assert str(caught.value).startswith(f"{file}: cannot be read as IDX: it ")


@pytest.mark.parametrize("cut", [0, 5, -4])
def test_damaged_gzip(tmp_path: Path, cut: int) -> None:
    write_mnist(tmp_path, packed=True)
    file = tmp_path / "t10k-labels-idx1-ubyte.gz"
    file.write_bytes(file.read_bytes()[:cut] if cut else b"no gzip at all, but long enough")

    with pytest.raises(UsageError, match=r"t10k-labels-idx1-ubyte\.gz: cannot be read as IDX: "):
        load("mnist", tmp_path)


def test_missing_twin_and_unequal_lengths(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    labels.write_bytes(idx(np.zeros(7)))
    with pytest.raises(UsageError, match="holds 20 images, t10k-labels-idx1-ubyte 7 labels"):
        load("mnist", tmp_path)

    labels.unlink()
    with pytest.raises(UsageError, match=r"but not t10k-labels-idx1-ubyte$"):
        load("mnist", tmp_path)


def test_label_out_of_range(tmp_path: Path) -> None:
    _, (_, labels) = write_mnist(tmp_path)
    labels[3] = 200
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(labels))

    with pytest.raises(UsageError, match="label 200 in the test split is out of range: 10 classes"):
        load("mnist", tmp_path)


def test_idx_array_can_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(idx(np.arange(4)))
    array = read_idx(tmp_path / "x", axes=1)
    array[0] = 9
    assert array.tolist() == [9, 1, 2, 3]


@pytest.mark.parametrize("hundred", [False, True], ids=["cifar10", "cifar100"])
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "tar"])
@pytest.mark.parametrize("below", ["", "anything"])
def test_cifar_is_found_and_read(tmp_path: Path, hundred: bool, packed: bool, below: str) -> None:
    place = tmp_path / below
    train, test = write_cifar(tmp_path / "made" if packed else place, hundred)
    name = "cifar100" if hundred else "cifar10"
    if packed:
        made = next((tmp_path / "made").iterdir())
        place.mkdir(exist_ok=True)
        pack(made, place / f"cifar-{100 if hundred else 10}-python.tar.gz")
        for file in made.iterdir():
            file.unlink()
    elif below:
        inner = next(place.iterdir())
        for file in inner.iterdir():
            file.rename(place / file.name)

    data = load(name, tmp_path)

    assert holds(data.train, train)
    assert holds(data.test, test)
    assert data.classes[:2] == ("kind000", "kind001")
    assert len(data.mean) == len(data.std) == 3


@pytest.mark.parametrize(("name", "reader"), [("cifar10", "CIFAR10"), ("cifar100", "CIFAR100")])
def test_cifar_against_torchvision(
    tmp_path: Path, name: str, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cifar = pytest.importorskip("torchvision").datasets.cifar
    monkeypatch.setattr(cifar, "check_integrity", lambda *_: True)  # they are not the real ones
    write_cifar(tmp_path, hundred=name == "cifar100")
    data = load(name, tmp_path)

    for split, train in ((data.train, True), (data.test, False)):
        theirs = getattr(cifar, reader)(str(tmp_path), train=train)
        assert holds(split, (theirs.data.transpose(0, 3, 1, 2), np.array(theirs.targets)))
        assert data.classes == tuple(theirs.classes)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_cifar_in_every_protocol_of_arrays(tmp_path: Path, protocol: int) -> None:
    train, _ = write_cifar(tmp_path, protocol=protocol)
    assert holds(load("cifar10", tmp_path).train, train)


def test_pickles_of_numpy_1_are_read() -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    old = pickle.dumps(array, 2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert b"numpy.core.multiarray" in old
    assert np.array_equal(unpickle(old), array)


class Sly:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call = (call, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("call", "asked"),
    [
        ((exec, "open('sprung', 'w')"), "builtin.*exec"),
        ((Path.touch, Path("sprung")), "getattr|pathlib"),
        ((np.load, "x"), "numpy.*load"),
        ((np.ndarray, (2**50,)), "not callable"),
    ],
)
def test_a_pickle_calls_nothing(
    tmp_path: Path, call: Any, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_cifar(tmp_path)
    file = tmp_path / "cifar-10-batches-py" / "data_batch_2"
    file.write_bytes(pickle.dumps({"data": Sly(*call), "labels": []}, 2))

    with pytest.raises(UsageError, match=rf"data_batch_2: cannot be read as a batch.*({asked})"):
        load("cifar10", tmp_path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Ran out of input"),
        (b"not a pickle", "unpickling|invalid|pickle|stack"),
        (pickle.dumps([1, 2]), "indices"),
        (pickle.dumps({"data": np.zeros((2, 3072))}, 2), "labels"),
        (pickle.dumps({"data": np.zeros((2, 3072)), "labels": [0, 1]}, 2), "float64"),
        (
            pickle.dumps({"data": np.zeros((3, 3072), np.uint8), "labels": [0, 1]}, 2),
            r"uint8 \(3, 3072\), not uint8 \(2, 3072\)",
        ),
    ],
)
def test_damaged_cifar(tmp_path: Path, content: bytes, message: str) -> None:
    write_cifar(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(content)

    with pytest.raises(
        UsageError, match=rf"test_batch: cannot be read as a batch of CIFAR: .*({message})"
    ):
        load("cifar10", tmp_path)


def test_damaged_and_incomplete_archives(tmp_path: Path) -> None:
    write_cifar(tmp_path / "made")
    made = tmp_path / "made" / "cifar-10-batches-py"
    archive = tmp_path / "cifar-10-python.tar.gz"
    pack(made, archive)
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(UsageError, match=r"python\.tar\.gz: cannot be read as a tar archive"):
        load("cifar10", tmp_path)

    (made / "data_batch_4").unlink()
    pack(made, archive)
    with pytest.raises(UsageError, match="holds no data_batch_4"):
        load("cifar10", tmp_path)
    archive.unlink()
    with pytest.raises(UsageError, match="but not data_batch_4"):
        load("cifar10", tmp_path / "made")


def test_svhn_is_read_as_torchvision_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy")
    train, test = write_svhn(tmp_path)
    data = load("svhn", tmp_path)

    assert holds(data.train, train)
    assert holds(data.test, test)
    svhn = pytest.importorskip("torchvision").datasets.svhn
    monkeypatch.setattr(svhn, "check_integrity", lambda *_: True)
    theirs = svhn.SVHN(str(tmp_path), split="test")
    assert holds(data.test, (theirs.data, theirs.labels))


def test_damaged_svhn(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    write_svhn(tmp_path)
    file = tmp_path / "test_32x32.mat"
    good = file.read_bytes()
    for content in (b"", b"no such file" * 20, good[: len(good) // 2]):
        file.write_bytes(content)
        with pytest.raises(UsageError, match=r"test_32x32\.mat: cannot be read as a \.mat file"):
            load("svhn", tmp_path)
    scipy_io.savemat(file, {"X": np.zeros((32, 32, 3, 2)), "y": np.ones((2, 1))})
    with pytest.raises(UsageError, match="X is float64"):
        load("svhn", tmp_path)


def test_svhn_without_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}_32x32.mat").touch()
    monkeypatch.setitem(sys.modules, "scipy", None)

    with pytest.raises(UsageError, match=r"^svhn needs SciPy: pip install scipy$"):
        load("svhn", tmp_path)


@pytest.mark.parametrize("below", ["", "fashion_mnist"])
def test_copy_as_a_folder_of_images(tmp_path: Path, below: str) -> None:
    classes = {str(number): 1 for number in range(10)}
    options: Any = {"size": (28, 28), "mode": "L"}
    train = write_images(tmp_path / below / "train", classes, **options)
    test = write_images(tmp_path / below / "test", classes, seed=8, **options)

    data = load("fashion_mnist", tmp_path)

    assert holds(data.train, (np.stack([*train.values()]), np.arange(10)))
    assert holds(data.test, (np.stack([*test.values()]), np.arange(10)))
    assert data.mean == (0.2860,)


def test_copy_with_the_official_names_keeps_the_official_order(tmp_path: Path) -> None:
    names = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    write_images(tmp_path / "train", dict.fromkeys(names, 1), size=(28, 28), mode="L")
    write_images(tmp_path / "test", {"ha": 2}, size=(28, 28), mode="L")

    data = load("kmnist", tmp_path)

    assert data.classes == names
    assert data.test is not None
    assert data.test.labels.tolist() == [5, 5]


def test_copy_with_too_few_classes(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 1, "dog": 1})
    with pytest.raises(UsageError, match="train holds 2 classes, cifar10 has 10"):
        load("cifar10", tmp_path)

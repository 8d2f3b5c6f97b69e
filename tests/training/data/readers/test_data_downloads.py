"""Where published data sets come from: the cache, a download, a folder; what is said without."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from support.data_files import write_cifar, write_mnist
from support.users import as_a_user_with_limits

from cnncalc import OutputError, UsageError

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
datasets = pytest.importorskip("torchvision.datasets", reason="torchvision is not installed")

from cnncalc.training.data import NAMES, load_data  # noqa: E402
from cnncalc.training.data.loading import DATA_SETS  # noqa: E402


def mnist(**options: Any) -> Any:
    return load_data("mnist", **{"input_shape": (1, 28, 28), "outputs": 10, **options})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNCALC_DATA", str(tmp_path / "cache"))

    def refuse(*_: Any, **__: Any) -> None:
        raise URLError(OSError("Name or service not known"))

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    return tmp_path / "cache"


def downloads(monkeypatch: pytest.MonkeyPatch, action: Any, reader: str = "MNIST") -> list[str]:
    """Puts `action(folder)` in the place of torchvision's reader; the folders it is called with."""
    calls = []

    def read(root: str, split: str = "", *, download: bool = False) -> None:
        assert download
        calls.append(root)
        action(Path(root))

    monkeypatch.setattr(datasets, reader, read)
    return calls


def test_downloaded_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = downloads(monkeypatch, lambda root: write_mnist(root / "MNIST" / "raw"))
    first, second = mnist(), mnist(download=False)

    assert len(calls) == 1
    assert torch.equal(first.train.images, second.train.images)
    assert [path.name for path in cache.iterdir()] == ["mnist"]
    assert (cache / "mnist" / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file()


def test_files_laid_into_the_cache_are_used(cache: Path) -> None:
    write_mnist(cache / "mnist", packed=True)
    assert len(mnist().train.labels) == 40


def test_an_empty_folder_in_the_cache_is_filled(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / "cifar10").mkdir(parents=True)
    downloads(monkeypatch, write_cifar, "CIFAR10")
    data = load_data("cifar10", input_shape=(3, 32, 32), outputs=10)
    assert len(data.test.labels) == 12


def test_cache_is_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CNNCALC_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_mnist(tmp_path / ".cache" / "cnncalc" / "data" / "mnist")
    assert len(mnist(download=False).train.labels) == 40


@pytest.mark.parametrize("name", [name for name in NAMES if DATA_SETS[name].published])
def test_offline_says_what_to_put_where(name: str, cache: Path) -> None:
    entry: Any = DATA_SETS[name].published
    with pytest.raises(UsageError) as caught:
        load_data(name, input_shape=entry.shape, outputs=entry.count)
    message = str(caught.value)
    place = f"put {entry.files} into {cache / name}, or name their folder with --data-dir"
    assert message.startswith(f"{name} cannot be downloaded; {place} (")
    assert "Name or service not known" in message
    assert "\n" not in message
    assert not [*cache.iterdir()]


def test_not_to_be_downloaded() -> None:
    with pytest.raises(UsageError, match="mnist is not there and is not to be downloaded: put tra"):
        mnist(download=False)


def fail(error: BaseException) -> Any:
    def action(root: Path) -> None:
        (root / "half").write_text("half of it")
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (RuntimeError("File not found or corrupted."), UsageError, "or corrupted"),
        (TimeoutError("timed out"), UsageError, "timed out"),
        (OSError(errno.ENOSPC, "No space left on device"), OutputError, "No space left"),
        (KeyboardInterrupt("enough"), KeyboardInterrupt, "enough"),
    ],
)
def test_a_download_that_fails_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch, error: Any, kind: Any, message: str
) -> None:
    downloads(monkeypatch, fail(error))
    before = socket.getdefaulttimeout()
    with pytest.raises(kind, match=message):
        mnist()
    assert not [*cache.iterdir()]
    assert socket.getdefaulttimeout() == before


def test_of_two_downloads_the_first_counts(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(root: Path) -> None:
        write_mnist(cache / "mnist")
        (root / "late").touch()

    downloads(monkeypatch, slow)
    assert len(mnist().train.labels) == 40
    assert not [*cache.rglob("late")]


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CNNCALC_DATA", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="set CNNCALC_DATA to a folder that can be written"):
        mnist()


@pytest.mark.parametrize(
    ("name", "directory", "message"),
    [
        ("minst", None, "unknown data set 'minst'; did you mean mnist?"),
        ("cifar-10", None, "did you mean cifar10?"),
        ("imagenet22k", None, f"known: {', '.join(sorted(NAMES))}"),
        ("{}", None, r"did you mean --data imagefolder --data-dir .*\?"),
        ("mnist", "{}/absent", "absent: no such folder"),
        ("mnist", "{}/file", "file is no folder"),
        (
            "mnist",
            "{}",
            "holds no mnist: it takes train-images-idx3-ubyte.gz, .*, unpacked or not, ",
        ),
        (
            "svhn",
            "{}",
            "holds no svhn: it takes train_32x32.mat and test_32x32.mat, unpacked or not",
        ),
        ("imagefolder", None, "imagefolder needs its folder of images: --data-dir PATH"),
        ("npz", None, "npz needs its file: --data-dir PATH"),
    ],
)
def test_messages(tmp_path: Path, name: str, directory: Any, message: str) -> None:
    (tmp_path / "file").touch()
    name = name.format(tmp_path)
    directory = directory and directory.format(tmp_path)
    with pytest.raises(UsageError, match=message) as caught:
        load_data(name, input_shape=(1, 28, 28), outputs=10, directory=directory)
    assert "\n" not in str(caught.value)


def test_folder_that_may_not_be_read(tmp_path: Path) -> None:
    def check() -> None:
        with pytest.raises(UsageError, match="closed: cannot be read: Permission denied"):
            mnist(directory=Path("closed"))

    (tmp_path / "closed").mkdir(mode=0)
    as_a_user_with_limits(check, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"outputs": 100},
            "mnist has 10 classes, the network 100 outputs: --set classes=10, where",
        ),
        ({"outputs": 9}, "mnist has 10 classes, the network 9 outputs"),
        ({"input_shape": (2, 28, 28)}, "mnist has 1 channel, the network takes 2: --input 1x28x28"),
        (
            {"input_shape": (784,)},
            "mnist has samples of shape 1x28x28, the network takes 784: chan",
        ),
        (
            {"input_shape": (1, 32, 32), "resize": None},
            "mnist has images of 28x28, the network take",
        ),
    ],
)
def test_network_that_does_not_fit(cache: Path, options: Any, message: str) -> None:
    write_mnist(cache / "mnist")
    with pytest.raises(UsageError, match=message):
        mnist(**options)


def test_grey_becomes_rgb_and_is_resized(cache: Path) -> None:
    train, _ = write_mnist(cache / "mnist")
    data = mnist(input_shape=(3, 28, 28))
    assert torch.equal(data.train.images[:, 2], torch.from_numpy(train[0]))
    assert (data.mean, data.std) == ((0.1307,) * 3, (0.3081,) * 3)
    assert mnist(input_shape=(3, 32, 24)).test.images.shape == (20, 3, 32, 24)

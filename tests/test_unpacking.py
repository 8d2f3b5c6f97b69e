"""What is packed is unpacked up to a bound, whatever its file says of itself."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

import cnncalc
from cnncalc import unpacking

np = pytest.importorskip("numpy", reason="numpy, and so PyTorch, is not installed")
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("torchvision", reason="torchvision is not installed")

from PIL import Image  # noqa: E402
from support.data_files import idx, write_cifar, write_mnist, write_svhn  # noqa: E402

from cnncalc.pytorch.weights import read_state  # noqa: E402
from cnncalc.training.data import load_data  # noqa: E402
from cnncalc.training.run.checkpoints import read_checkpoint  # noqa: E402

MEBI = 2**20
MESSAGE = (
    r"unpacks to more than [\d,]+ bytes; a file may hold 4 GiB, 100 times its size, or 64 MiB if"
    r" it is small, so this one is not read: unpack it first$"
)


@pytest.mark.parametrize(
    ("size", "allowed"),
    [
        (0, 64 * MEBI),
        (MEBI // 2, 64 * MEBI),
        (MEBI, 100 * MEBI),
        (50 * MEBI, 4096 * MEBI),
        (5000 * MEBI, 5000 * MEBI),  # what is not packed has any size
    ],
)
def test_what_a_file_may_hold(size: int, allowed: int, tmp_path: Path) -> None:
    file = tmp_path / "file"
    with file.open("wb") as sparse:
        sparse.truncate(size)
    assert unpacking.allowed(file) == allowed
    unpacking.check(file, allowed)
    with pytest.raises(cnncalc.UsageError, match=rf"file: {MESSAGE}"):
        unpacking.check(file, allowed + 1)


def test_bytes_are_counted_as_they_come(tmp_path: Path, small: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    stream = unpacking.Unpacked(io.BytesIO(bytes(small)), file)
    assert len(stream.read(10)) + len(stream.read()) == small
    stream = unpacking.Unpacked(io.BytesIO(bytes(2 * small)), file)
    assert len(stream.read(small)) == small
    with pytest.raises(cnncalc.UsageError, match=MESSAGE):
        stream.read(1)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """A bound that is cheap to overstep."""
    monkeypatch.setattr(unpacking, "ALWAYS", 2**16)
    monkeypatch.setattr(unpacking, "RATIO", 2)
    return 2**16


def idx_bomb(folder: Path) -> None:
    write_mnist(folder, packed=True)
    content = gzip.compress(idx(np.zeros((3000, 28, 28), np.uint8)))
    (folder / "train-images-idx3-ubyte.gz").write_bytes(content)


def npz_bomb(folder: Path) -> None:
    arrays = {"x_train": np.zeros((4000, 28, 28), np.uint8), "y_train": np.zeros(4000, np.int64)}
    np.savez_compressed(folder / "data.npz", **arrays)


def tar_bomb(folder: Path, name: str, kind: str) -> None:
    write_cifar(folder / "made")
    with tarfile.open(folder / "cifar-10-python.tar.gz", f"w:{kind}") as tar:
        info = tarfile.TarInfo(name)
        info.size = 3 * MEBI
        tar.addfile(info, io.BytesIO(bytes(info.size)))
        tar.add(folder / "made" / "cifar-10-batches-py", "cifar-10-batches-py")
    for file in sorted((folder / "made").rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    (folder / "made").rmdir()


def header_bomb(folder: Path) -> None:
    """A name of megabytes, which tarfile reads before it gives the member out."""
    tar_bomb(folder, "x" * (3 * MEBI), "gz")


def mat_bomb(folder: Path) -> None:
    write_svhn(folder)
    file = folder / "train_32x32.mat"
    element = struct.pack("<II", 14, 3 * MEBI) + bytes(3 * MEBI)
    packed = zlib.compress(element)
    head = file.read_bytes()[:128]
    file.write_bytes(head + struct.pack("<II", 15, len(packed)) + packed)


def png_bomb(folder: Path) -> None:
    for name in "ab":
        (folder / name).mkdir()
        for number in range(6):
            Image.new("RGB", (8, 8)).save(folder / name / f"{number}.png")
    Image.new("RGB", (400, 400)).save(folder / "b" / "9.png")


BOMBS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "idx": ("mnist", idx_bomb, "train-images-idx3-ubyte.gz"),
    "npz": ("npz", npz_bomb, "data.npz"),
    "tar.gz": ("cifar10", lambda path: tar_bomb(path, "large", "gz"), "cifar-10-python.tar.gz"),
    "tar.xz": ("cifar10", lambda path: tar_bomb(path, "large", "xz"), "cifar-10-python.tar.gz"),
    "tar header": ("cifar10", header_bomb, "cifar-10-python.tar.gz"),
    "mat": ("svhn", mat_bomb, "train_32x32.mat"),
    "png": ("imagefolder", png_bomb, "9.png"),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_file_does_not_fill_the_machine(kind: str, tmp_path: Path, small: int) -> None:
    if kind == "mat":
        pytest.importorskip("scipy", reason="SciPy is not installed")
    name, write, file = BOMBS[kind]
    write(tmp_path)
    shape = {"cifar10": (3, 32, 32), "svhn": (3, 32, 32), "imagefolder": (3, 8, 8)}
    with pytest.raises(cnncalc.UsageError) as caught:
        load_data(
            name,
            input_shape=shape.get(name, (1, 28, 28)),
            outputs=2 if name == "imagefolder" else 10,
            directory=tmp_path,
        )
    message = str(caught.value)
    assert f"{file}: unpacks to more than " in message
    assert message.count(file) == 1
    assert "\n" not in message


def test_a_large_image_is_left_out_as_a_corrupt_one(tmp_path: Path, small: int) -> None:
    png_bomb(tmp_path)
    data = load_data(
        "imagefolder",
        input_shape=(3, 8, 8),
        outputs=2,
        directory=tmp_path,
        on_corrupt="skip",
        test_share=0.0,
    )
    assert [Path(path).name for path in data.skipped] == ["9.png"]


def test_a_real_bound_and_real_sizes(tmp_path: Path) -> None:
    """70 MiB of zeros are 70 KB packed; 60,000 equal labels are no bomb."""
    np.savez_compressed(
        tmp_path / "data.npz",
        x_train=np.zeros((70 * MEBI // 784, 28, 28), np.uint8),
        y_train=np.zeros(70 * MEBI // 784, np.uint8),
    )
    with pytest.raises(cnncalc.UsageError, match=r"more than 67,108,864 bytes"):
        load_data("npz", input_shape=(1, 28, 28), outputs=1, directory=tmp_path)
    np.savez_compressed(
        tmp_path / "data.npz",
        x_train=np.zeros((60_000, 1, 4, 4), np.uint8),
        y_train=np.arange(60_000) % 2,
    )
    data = load_data("npz", input_shape=(1, 4, 4), outputs=2, directory=tmp_path)
    assert len(data.train.labels) == 60_000


def test_an_array_that_speaks_of_more_than_it_holds(tmp_path: Path) -> None:
    """No memory is asked for by what a file says."""
    head = io.BytesIO()
    what = {"descr": "|u1", "fortran_order": False, "shape": (2**40, 28, 28)}
    np.lib.format.write_array_header_1_0(head, what)
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("x_train.npy", head.getvalue())
        archive.writestr("y_train.npy", head.getvalue())
    with pytest.raises(cnncalc.UsageError, match=r"data\.npz: .*x_train\.npy holds less than the"):
        load_data("npz", input_shape=(1, 28, 28), outputs=10, directory=tmp_path)


def test_a_program_that_unpacks_to_too_much(tmp_path: Path, small: int) -> None:
    from cnncalc.importing.import_network import import_network

    file = tmp_path / "bomb.pt2"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/models/model.json", b" " * 3 * MEBI + b"{}")
    with pytest.raises(cnncalc.UsageError, match=rf"bomb\.pt2: {MESSAGE}"):
        import_network(str(file))


def test_a_checkpoint_is_no_bomb(tmp_path: Path, small: int) -> None:
    """PyTorch stores tensors as they are; its reader unpacks them all the same."""
    model = cnncalc.build({"input": [4 * small], "layers": [{"linear": 1}]})
    state = model.state_dict()
    torch.save({name: torch.zeros_like(value) for name, value in state.items()}, tmp_path / "a.pt")
    cnncalc.load_weights(model, torch.load(tmp_path / "a.pt", weights_only=True))
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as plain,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for info in plain.infolist():
            packed.writestr(info.filename, plain.read(info))
    assert torch.load(tmp_path / "b.pt", weights_only=True).keys() == state.keys()
    for read in (read_checkpoint, read_state):
        assert read(tmp_path / "a.pt").keys() == state.keys()
        with pytest.raises(cnncalc.UsageError, match=rf"b\.pt: {MESSAGE}"):
            read(tmp_path / "b.pt")

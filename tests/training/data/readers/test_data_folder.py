"""Folders of images: what is found, how it is decoded, split and streamed; corrupt images."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from support.data_files import write_images

from cnncalc import UsageError

np = pytest.importorskip("numpy", reason="numpy, and so PyTorch, is not installed")
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

from cnncalc.training.data import (  # noqa: E402
    CorruptImageError,
    DataSet,
    ImageError,
    Split,
    Stream,
    load_data,
)
from cnncalc.training.data.fitting import images  # noqa: E402

SHAPE = (3, 6, 8)


def load(directory: Path, outputs: int = 2, shape: tuple[int, ...] = SHAPE, **options: Any) -> Any:
    return load_data(
        "imagefolder", input_shape=shape, outputs=outputs, directory=directory, **options
    )


def pixels(data: Any) -> list[Any]:
    """Images of a split or stream, height × width × channels."""
    images = data.images if isinstance(data, Split) else [data[i][0] for i in range(len(data))]
    return [image.permute(1, 2, 0).numpy() for image in images]


def equal(data: Any, written: dict[str, Any]) -> bool:
    pairs = zip(pixels(data), written.values(), strict=True)
    return all(np.array_equal(image, expected) for image, expected in pairs)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes, ten images each, in folders alone."""
    write_images(tmp_path / "pets", {"cat": 10, "dog": 10})
    return tmp_path / "pets"


@pytest.mark.parametrize("limit", [10**6, 10], ids=["in memory", "stream"])
def test_train_validation_and_test(tmp_path: Path, limit: int) -> None:
    train = write_images(tmp_path / "train", {"cat": 3, "dog": 2})
    val = write_images(tmp_path / "valid", {"cat": 1, "dog": 1}, seed=8)
    test = write_images(tmp_path / "test", {"cat": 1, "dog": 2}, seed=9)

    data = load(tmp_path, memory_limit=limit)

    assert isinstance(data, DataSet)
    assert isinstance(data.train, Split if limit > 10 else Stream)
    assert equal(data.train, train)
    assert equal(data.validation, val)
    assert equal(data.test, test)
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert data.test.labels.tolist() == [0, 1, 1]
    assert (data.classes, data.skipped) == (("cat", "dog"), ())


def test_stream_and_memory_hold_the_same(folder: Path) -> None:
    held = load(folder, validation=0.25, seed=3)
    stream = load(folder, validation=0.25, seed=3, memory_limit=10)

    for name in ("train", "validation", "test"):
        first, second = getattr(held, name), getattr(stream, name)
        assert torch.equal(first.labels, second.labels)
        for index in range(len(second)):
            image, label = second[index]
            assert torch.equal(image, first.images[index])
            assert isinstance(label, int)
            assert label == first.labels[index]
    assert (stream.mean, stream.std) == (held.mean, held.std)


def test_threads_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = load(folder)
    monkeypatch.setattr(images, "_THREADS", 1)
    assert torch.equal(load(folder).train.images, many.train.images)


def test_stream_works_in_workers(folder: Path) -> None:
    stream = load(folder, memory_limit=10).train
    again = pickle.loads(pickle.dumps(stream))
    assert torch.equal(again[3][0], stream[3][0])
    loader = torch.utils.data.DataLoader(stream, batch_size=4, num_workers=1)
    images, labels = next(iter(loader))
    assert (images.shape, images.dtype) == ((4, *SHAPE), torch.uint8)
    assert torch.equal(labels, stream.labels[:4])


def test_one_folder_is_split_alike_in_every_class(folder: Path) -> None:
    data = load(folder)
    assert torch.bincount(data.train.labels).tolist() == [8, 8]
    assert torch.bincount(data.test.labels).tolist() == [2, 2]

    same, other = load(folder), load(folder, seed=1)
    assert torch.equal(same.test.images, data.test.images)
    assert not torch.equal(other.test.images, data.test.images)
    assert load(folder, test_share=0).test is None
    assert len(load(folder, test_share=0.5).test.labels) == 10


def test_links_are_followed_once(folder: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "elsewhere", {"more": 3})
    (folder / "cat" / "link").symlink_to(tmp_path / "elsewhere" / "more")
    (folder / "cat" / "back").symlink_to(folder / "cat")
    (folder / "eel").symlink_to(folder / "dog")
    assert torch.bincount(load(folder, outputs=3, test_share=0).train.labels).tolist() == [
        13,
        10,
        10,
    ]


def test_train_alone_is_split_as_well(folder: Path) -> None:
    whole = load(folder)
    folder.rename(folder.parent / "train")
    data = load(folder.parent)
    assert torch.equal(data.test.images, whole.test.images)


def test_classes_by_name_or_by_number(tmp_path: Path) -> None:
    write_images(tmp_path / "a", {"10": 1, "9": 1, "0": 1}, size=(8, 6))
    write_images(tmp_path / "b", {"b": 1, "Z": 1, "10": 1, "ä": 1, "9": 1}, size=(8, 6))

    assert load(tmp_path / "a", 3, test_share=0).classes == ("0", "9", "10")
    assert load(tmp_path / "b", 5, test_share=0).classes == ("10", "9", "Z", "b", "ä")


def test_other_and_hidden_files_are_left_alone(tmp_path: Path) -> None:
    written = write_images(tmp_path, {"cat/tabby": 2, "dog": 2}, suffix=".PNG")
    for name in (".DS_Store", "._0.png", "Thumbs.db", "notes.txt"):
        (tmp_path / "cat" / name).write_text("no image")
    (tmp_path / ".cache").mkdir()

    assert equal(load(tmp_path, test_share=0).train, written)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("suffix", [".bmp", ".jpg", ".JPEG", ".png", ".tif", ".gif", ".webp"])
def test_formats(tmp_path: Path, suffix: str, mode: str) -> None:
    written = write_images(tmp_path, {"a": 1, "b": 1}, suffix=suffix, mode=mode)
    expected = {}
    for path in written:
        with Image.open(path) as image:
            expected[path] = np.asarray(image.convert("RGB"))
    assert equal(load(tmp_path, test_share=0).train, expected)


def save(folder: Path, image: Any, **options: Any) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
        image.save(folder / name / "1.png", **options)


def decoded(folder: Path, shape: tuple[int, ...]) -> Any:
    return load(folder, shape=shape, test_share=0).train.images[0]


def test_deep_grey_keeps_its_range(tmp_path: Path) -> None:
    save(tmp_path, Image.fromarray(np.array([[0, 256], [32_768, 65_535]], np.uint16)))
    assert decoded(tmp_path, (1, 2, 2)).tolist() == [[[0, 1], [128, 255]]]


def test_palette_and_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    save(tmp_path, image, transparency=b"\x00\xff")
    assert decoded(tmp_path, (3, 1, 2)).flatten().tolist() == [255, 0, 0, 0, 0, 255]


def test_turned_as_the_camera_says(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[10, 200]], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    save(tmp_path, image, exif=exif)
    assert decoded(tmp_path, (1, 2, 1)).tolist() == [[[10], [200]]]


def test_grey_saved_as_colour_is_grey(tmp_path: Path) -> None:
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
    save(tmp_path, Image.fromarray(np.repeat(grey[..., None], 3, 2)))
    assert torch.equal(decoded(tmp_path, (1, 6, 8))[0], torch.from_numpy(grey))


@pytest.mark.parametrize("limit", [10**6, 10], ids=["in memory", "stream"])
def test_resized_as_pillow_does(tmp_path: Path, limit: int) -> None:
    written = write_images(tmp_path, {"a": 1, "b": 1}, size=(40, 30))
    data = load(tmp_path, shape=(3, 7, 5), test_share=0, memory_limit=limit)
    for image, source in zip(pixels(data.train), written.values(), strict=True):
        expected = Image.fromarray(source).resize((5, 7), Image.Resampling.BILINEAR)
        assert np.array_equal(image, np.asarray(expected))


def test_large_photographs_are_decoded_at_reduced_size(tmp_path: Path) -> None:
    across, down = np.meshgrid(np.linspace(0, 255, 1600), np.linspace(0, 255, 1200))
    photo = Image.fromarray(np.stack([across, down, across], 2).astype(np.uint8))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        photo.save(tmp_path / name / "1.jpg")
    (image, _) = pixels(load(tmp_path, shape=(3, 24, 32), test_share=0).train)
    expected = np.asarray(photo.resize((32, 24), Image.Resampling.BILINEAR))
    assert np.abs(image.astype(int) - expected).max() <= 6


def test_sizes_must_agree_when_resizing_is_off(folder: Path) -> None:
    assert len(load(folder, resize="off").train.labels) == 16
    with pytest.raises(UsageError, match=r"\.png is an image of 6x8, the network takes 7x7: ") as e:
        load(folder, shape=(3, 7, 7), resize=None)
    assert str(e.value).endswith("set resize: auto, or --input 3x6x8")


def spoil(folder: Path) -> list[Path]:
    """Three files that are no images any more."""
    good = (folder / "cat" / "3.png").read_bytes()
    files = [folder / "cat" / "3.png", folder / "dog" / "0.png", folder / "dog" / "1.png"]
    for file, content in zip(files, (good[:-40], b"", b"<html>no image</html>"), strict=True):
        file.write_bytes(content)
    return files


def test_corrupt_images_are_named_and_counted(folder: Path) -> None:
    files = spoil(folder)
    with pytest.raises(CorruptImageError) as caught:
        load(folder, test_share=0)
    message = str(caught.value)
    assert message.startswith(
        "3 of 20 images are corrupt; --set train.data.corrupt=skip leaves such images out"
    )
    assert all(str(file) in message for file in files)
    assert "\n" not in message
    assert "it is no image" in message

    files[0].unlink()
    files[1].unlink()
    with pytest.raises(
        CorruptImageError, match=r"1\.png: a corrupt image: it is no image; --set train"
    ):
        load(folder, test_share=0)


@pytest.mark.parametrize("limit", [10**6, 10], ids=["in memory", "stream"])
def test_corrupt_images_are_skipped(folder: Path, limit: int) -> None:
    files = spoil(folder)
    data = load(folder, on_corrupt="skip", memory_limit=limit, test_share=0.5)

    assert {*data.skipped} == {*map(str, files)}
    assert len(data.train.labels) + len(data.test.labels) == 17
    assert len(pixels(data.train)) == len(data.train.labels)


def test_corrupt_image_of_a_stream_is_named_by_workers_too(folder: Path) -> None:
    stream = load(folder, memory_limit=10, test_share=0).train
    spoil(folder)
    loader = torch.utils.data.DataLoader(stream, batch_size=20, num_workers=1)
    batches: Any = iter(loader)
    with pytest.raises(CorruptImageError) as caught:
        next(batches)
    batches._shutdown_workers()  # the caught error keeps them alive
    message = str(caught.value)
    assert message.startswith(f"{folder / 'cat' / '3.png'}: a corrupt image: ")
    assert message.endswith(
        "; mend it and resume, or begin anew with --set train.data.corrupt=skip"
    )
    assert "Traceback" not in message


def test_corrupt_image_in_the_sample_of_a_stream(folder: Path) -> None:
    spoil(folder)
    with pytest.raises(CorruptImageError, match="3 of 20 images are corrupt"):
        load(folder, memory_limit=10, test_share=0)


def test_class_of_corrupt_images_alone_is_empty(folder: Path) -> None:
    for file in (folder / "dog").iterdir():
        file.write_bytes(b"")
    with pytest.raises(UsageError, match="no image to train on of class 'dog'"):
        load(folder, on_corrupt="skip")


def empty_class(folder: Path) -> None:
    (folder / "fish").mkdir()


def loose_images(folder: Path) -> None:
    for file in (folder / "cat").iterdir():
        file.rename(folder / file.name)
    for name in ("cat", "dog"):
        for file in (folder / name).iterdir():
            file.unlink()
        (folder / name).rmdir()


def nothing(folder: Path) -> None:
    loose_images(folder)
    for file in folder.iterdir():
        file.unlink()


def foreign_test_class(folder: Path) -> None:
    write_images(folder / "test", {"cat": 1, "dogs": 1})
    (folder / "train").mkdir()
    for name in ("cat", "dog"):
        (folder / name).rename(folder / "train" / name)


def no_train(folder: Path) -> None:
    write_images(folder / "test", {"cat": 1})


def two_of_a_kind(folder: Path) -> None:
    for name in ("val", "validation", "train"):
        write_images(folder / name, {"cat": 1})


def empty_test(folder: Path) -> None:
    write_images(folder / "train", {"cat": 1, "dog": 1})
    (folder / "test" / "dog").mkdir(parents=True)


def loose_test(folder: Path) -> None:
    write_images(folder / "train", {"cat": 1, "dog": 1})
    (folder / "test").mkdir()
    (folder / "cat" / "0.png").rename(folder / "test" / "0.png")


def one_deeper(folder: Path) -> None:
    (folder / "unpacked").mkdir()
    for name in ("cat", "dog"):
        (folder / name).rename(folder / "unpacked" / name)


def one_of_each(folder: Path) -> None:
    for image in folder.glob("*/[1-9].png"):
        image.unlink()


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (one_deeper, {}, r"holds one folder, which holds others: --data-dir .*pets/unpacked$"),
        (
            one_of_each,
            {},
            "the test share 0.2 of 2 samples holds no .*: give more, or make a test/",
        ),
        (empty_class, {"outputs": 3}, r"fish holds no image \(\.jpg, .* …\): fill the folder or"),
        (loose_images, {}, "holds images, but no folders: put those of each class into a folder"),
        (nothing, {}, "pets holds no folders of images .a folder a class: train/cat/1.jpg"),
        (foreign_test_class, {}, "test has the class 'dogs', .*train does not; did you mean dog?"),
        (no_train, {}, r"pets has test/ but no train/"),
        (two_of_a_kind, {}, r"pets has both val/ and validation/; keep one of them"),
        (
            loose_test,
            {},
            "test holds images, but no folders: put those of each class into a folder",
        ),
        (empty_test, {}, "imagefolder: the test split holds no image"),
        (None, {"outputs": 3}, "imagefolder has 2 classes, the network 3 outputs: --set classes=2"),
        (
            None,
            {"shape": (1, 6, 8)},
            r"0\.png is in colour, the network takes 1 channel: --input 3x6x8",
        ),
        (None, {"shape": (4, 6, 8)}, "holds images of 1 or 3 channels, the network takes 4x6x8"),
        (None, {"shape": (10,)}, "holds images of 1 or 3 channels, the network takes 10"),
        (None, {"test_share": 0.01}, "the test share 0.01 of 20 samples holds no sample"),
        (None, {"test_share": 1.5}, "the test share is a share between 0 and 1"),
        (None, {"on_corrupt": "ignore"}, "on_corrupt is error or skip; received 'ignore'"),
    ],
)
def test_messages(folder: Path, change: Any, options: Any, message: str) -> None:
    if change:
        change(folder)
    with pytest.raises(UsageError, match=message):
        load(folder, **options)


def test_validation_share_beside_a_validation_folder(tmp_path: Path) -> None:
    for name in ("train", "val"):
        write_images(tmp_path / name, {"cat": 4, "dog": 4})
    assert load(tmp_path).test is None
    with pytest.raises(UsageError, match="has a validation split already: leave out validation"):
        load(tmp_path, validation=0.5)


def test_unreadable_image_is_not_called_corrupt(folder: Path) -> None:
    stream = load(folder, memory_limit=10, test_share=0).train
    (folder / "cat" / "3.png").unlink()
    batches: Any = iter(torch.utils.data.DataLoader(stream, batch_size=20, num_workers=1))
    with pytest.raises(ImageError) as caught:
        next(batches)
    batches._shutdown_workers()
    assert not isinstance(caught.value, CorruptImageError)
    assert (
        str(caught.value)
        == f"{folder / 'cat' / '3.png'}: cannot be read: No such file or directory"
    )

"""Arrays, digits and random data: layouts, types, shares, sizes, statistics."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from support.data_files import samples

from cnncalc import UsageError

np = pytest.importorskip("numpy", reason="numpy, and so PyTorch, is not installed")
torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset  # noqa: E402

from cnncalc.training.data import Split, Stream, from_python, load_data  # noqa: E402
from cnncalc.training.data.fitting.splits import stratified  # noqa: E402
from cnncalc.training.data.readers import digits  # noqa: E402
from cnncalc.training.data.readers import synthetic as random_images  # noqa: E402

SHAPE = (3, 5, 4)
X, Y = samples(12, SHAPE, 3, seed=1)


def python(data: Any = (X, Y), **options: Any) -> Any:
    return from_python(data, **{"input_shape": SHAPE, "outputs": 3, **options})


def archive(folder: Path, **arrays: Any) -> Path:
    file = folder / "data.npz"
    np.savez(file, **{"x_train": X, "y_train": Y, **arrays})
    return file


def npz(file: Path, **options: Any) -> Any:
    return load_data("npz", **{"input_shape": SHAPE, "outputs": 3, "directory": file, **options})


@pytest.mark.parametrize("named", [True, False])
def test_npz(tmp_path: Path, named: bool) -> None:
    extra = {"classes": np.array(["a", "b", "ç"])} if named else {}
    file = archive(tmp_path, x_test=X[:3], y_test=Y[:3], x_val=X[3:5], y_val=Y[3:5], **extra)
    for place in (file, tmp_path):
        data = npz(place)
        assert data.classes == (("a", "b", "ç") if named else ("0", "1", "2"))
        for split, part in (
            (data.train, slice(None)),
            (data.test, slice(3)),
            (data.validation, slice(3, 5)),
        ):
            assert np.array_equal(split.images.numpy(), X[part])
            assert np.array_equal(split.labels.numpy(), Y[part])
    assert npz(archive(tmp_path)).test is None


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy], ids=["array", "tensor"])
@pytest.mark.parametrize(
    ("shape", "stored"),
    [
        ((3, 5, 4), X),
        ((3, 5, 4), X.transpose(0, 2, 3, 1)),
        ((1, 5, 4), X[:, 0]),
        ((1, 5, 4), X[:, :1]),
        ((1, 5, 4), X[:, :1].transpose(0, 2, 3, 1)),
        ((3, 20), X.reshape(12, 3, 20)),
        ((3, 20), X.reshape(12, 3, 20).transpose(0, 2, 1)),
        ((1, 20), X.reshape(12, 3, 20)[:, 0]),
        ((60,), X.reshape(12, 60)),
        ((3, 5, 2, 2), X.reshape(12, 3, 5, 2, 2)),
        ((3, 5, 2, 2), X.reshape(12, 3, 5, 2, 2).transpose(0, 2, 3, 4, 1)),
        ((1, 3, 5, 4), X),
    ],
)
def test_layouts(shape: tuple[int, ...], stored: Any, kind: Any) -> None:
    data = python((kind(stored), kind(Y)), input_shape=shape)
    expected = X if len(data.train.images[0].flatten()) == 60 else X[:, 0]
    assert data.train.images.dtype == torch.uint8
    assert tuple(data.train.images.shape) == (12, *shape)
    assert np.array_equal(data.train.images.numpy().reshape(12, -1), expected.reshape(12, -1))
    assert len(data.mean) == shape[0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (X.astype(np.int64), X),
        (X.astype(">u2"), X),
        (X > 100, (X > 100) * np.uint8(255)),
        (X / 255, (X / 255).astype(np.float32)),
        (X.astype(np.float16), X.astype(np.float32)),
        (X.astype(">f8"), X.astype(np.float32)),
    ],
)
def test_types(values: Any, expected: Any) -> None:
    images = python((values, Y)).train.images.numpy()
    assert images.dtype == expected.dtype
    assert np.array_equal(images, expected)


def test_half_precision_tensors() -> None:
    images = torch.rand(12, *SHAPE).bfloat16()
    data = python((images.requires_grad_(), torch.from_numpy(Y)[:, None]))
    assert torch.equal(data.train.images, images.detach().float())


def test_callers_arrays_stay_as_they_are() -> None:
    frozen = X.copy()
    frozen.flags.writeable = False
    python((frozen, Y)).train.images.zero_()
    assert np.array_equal(frozen, X)


def bad(array: Any, where: Any, value: Any) -> Any:
    array = np.array(array, dtype=np.float64)
    array[where] = value
    return array


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (
            (bad(X, (4, 1, 2, 3), np.nan), Y),
            {},
            "train: 1 of 12 images hold a number that is not fi",
        ),
        ((bad(X, (4, 1, 2, 3), np.inf), Y), {}, r"the first is image 4$"),
        ((bad(X, (7, 0, 0, 0), -1e300), Y), {}, r"the first is image 7$"),
        (
            (X.astype(int) - 1, Y),
            {},
            "whole numbers are pixels from 0 to 255; received int64 from -1",
        ),
        ((X.astype(complex), Y), {}, "images are uint8 or float32; received complex128"),
        (([["a"]], Y), {}, "images are uint8 or float32; received <U1"),
        ((X[0], Y), {}, r"received \(3, 5, 4\)|12 labels"),
        (
            (X.reshape(12, 60), Y),
            {},
            r"images are of shape \(N, 3, 5, 4\), or .*received \(12, 60\)",
        ),
        ((X, Y[:5]), {}, "data: train: 12 images, but 5 labels"),
        ((X, Y / 1.0), {}, r"labels are whole numbers of shape \(N,\).*received float64 \(12,\)"),
        ((X, np.eye(3)[Y]), {}, r"received float64 \(12, 3\)"),
        ((X, Y - 1), {}, "label -1 is below 0"),
        ((X, Y + 1), {}, "data has labels from 1 to 3, and classes count from 0: subtract 1"),
        ((X, Y.astype(np.uint64) - 1), {}, "label -1 is below 0"),
        (
            (X, np.where(Y == 1, 2**40, Y)),
            {},
            "data has 1099511627777 classes, the network 3 outputs",
        ),
        (
            (X, np.where(Y == 1, 2**40, Y)),
            {"classes": "abc", "validation": 0.5},
            "label 1099511627776 in the train split is out of range",
        ),
        ((X, Y * 0), {}, "data has 1 class, the network 3 outputs"),
        (
            (X, Y),
            {"outputs": 4},
            "data has 3 classes, the network 4 outputs: --set classes=3, where",
        ),
        ((X, Y), {"outputs": 2}, "data has 3 classes, the network 2 outputs"),
        ((X, Y * 2), {"outputs": 5}, "data: no image to train on of class '1', '3'"),
        (
            (X, Y),
            {"classes": "ab", "outputs": 2},
            "label 2 in the train split is out of range: 2 cl",
        ),
        ((X[:0], Y[:0]), {"classes": "abc"}, "data: the train split holds no image"),
        ((X[:0], Y[:0]), {}, "data: the train split holds no image"),
        ((X[:, :, :0], Y), {}, "data has samples of shape 3x0x4, which hold nothing"),
        (
            (X, Y),
            {"input_shape": (1, 5, 4)},
            "data has 3 channels, the network takes 1: --input 3x5x4",
        ),
        ((X[:, :2], Y), {}, "data has 2 channels, the network takes 3: --input 2x5x4"),
        (
            (np.zeros((12, 5, 7, 4), np.uint8), Y),
            {},
            "data has 4 channels, the network takes 3: --input 4x5x7",
        ),
        ((X[:, :1], Y), {"input_shape": (2, 5, 4)}, "data has 1 channel, the network takes 2"),
        (
            (X, Y),
            {"input_shape": (3, 6, 4), "resize": None},
            "data has images of 5x4, the network ta",
        ),
        ((X, Y), {"input_shape": (3, 6, 4), "resize": "off"}, r"resize: auto, or --input 3x5x4$"),
        (
            (X.reshape(12, 3, 20), Y),
            {"input_shape": (3, 21)},
            "only images with two axes are resized",
        ),
        ((X, Y), {"validation": 0.01}, "the validation share 0.01 of 12 samples holds no sample"),
        ((X, Y), {"validation": 1}, "the validation share is a share between 0 and 1"),
        ((X, Y), {"resize": "yes"}, "resize is auto or off; received 'yes'"),
        ({"trian": (X, Y)}, {}, "data: unknown split 'trian'; did you mean train?"),
        ({"test": (X, Y)}, {}, "data: there is no split 'train'"),
        ({"train": (X, Y), "test": (X[:, :2], Y)}, {}, "data has 2 channels"),
        (7, {}, "train: takes .images, labels., or a data set with a length .*received int"),
        ((X, Y, Y), {}, r"train\[0\]: an item is \(image, label\); received ndarray"),
    ],
)
def test_messages(data: Any, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        python(data, **options)
    assert "\n" not in str(caught.value)


class Pictures(Dataset[Any]):
    """Items that differ at each call, as augmented ones do."""

    def __init__(self, images: Any = X, labels: Any = Y) -> None:
        self.images, self.numbers, self.calls = images, labels, 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        self.calls += 1
        return self.images[index], self.numbers[index]


def test_data_sets_are_streams() -> None:
    source = Pictures()
    data = python({"train": source, "test": Pictures(X[:4], torch.from_numpy(Y[:4]))})

    assert isinstance(data.train, Stream)
    assert len(data.train) == 12
    assert data.train.labels.tolist() == Y.tolist()
    calls = source.calls
    for index in (3, 3):
        image, label = data.train[index]
        assert np.array_equal(image.numpy(), X[index])
        assert label == Y[index]
    assert source.calls == calls + 2
    assert data.test.labels.tolist() == Y[:4].tolist()


def test_stream_is_resized_and_made_rgb() -> None:
    data = python(Pictures(X[:, 0]), input_shape=(3, 10, 8))
    image = data.train[0][0]
    expected = python((X[:, 0], Y), input_shape=(3, 10, 8)).train.images[0]
    assert torch.equal(image, expected)


def test_stream_gives_a_validation_share() -> None:
    data = python(Pictures(), validation=0.25, seed=5)
    whole = python((X, Y), validation=0.25, seed=5)
    for stream, split in ((data.train, whole.train), (data.validation, whole.validation)):
        assert torch.equal(stream.labels, split.labels)
        assert torch.equal(stream[1][0], split.images[1])


def test_labels_are_asked_of_torchvision_style_sets_only_if_they_are_final() -> None:
    source = Pictures()
    source.targets = [*Y]
    python(source, classes="abc")
    assert source.calls <= 13  # for the shape, and the statistics

    source.target_transform = abs
    source.targets = [0] * 12
    assert python(source).train.labels.tolist() == Y.tolist()


def test_subsets_and_tensor_data_sets() -> None:
    source = Pictures()
    source.targets = Y.tolist()
    data = python({"train": source, "test": Subset(source, [5, 2])})
    assert data.test.labels.tolist() == [Y[5], Y[2]]
    assert np.array_equal(data.test[1][0].numpy(), X[2])

    tensors = python(TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)))
    assert isinstance(tensors.train, Split)


def test_images_of_pillow() -> None:
    image = pytest.importorskip("PIL.Image")
    pictures = [image.fromarray(x.transpose(1, 2, 0).copy()) for x in X]
    assert np.array_equal(python(Pictures(pictures)).train[2][0].numpy(), X[2])


class Endless(IterableDataset[Any]):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        raise AssertionError("an iterable data set is not indexed")

    def __iter__(self) -> Any:
        return iter([])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Endless(), "received Endless"),
        (Pictures(X, Y / 1.0), r"train\[0\]: a label is a whole number; received np.float64"),
        (Pictures(X[:, :2]), r"train\[0\] has 2 channels, the network takes 3"),
        (Pictures(X.astype(str)), r"train\[0\]: images are uint8 or float32; received <U"),
    ],
)
def test_messages_about_data_sets(data: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        python(data)


def test_a_data_set_that_was_loaded_is_data() -> None:
    first = python({"train": (X, Y), "test": (X[:3], Y[:3])}, classes="abc")
    again = python(first)
    assert torch.equal(again.test.images, first.test.images)
    assert (again.classes, again.mean, again.std) == (("a", "b", "c"), first.mean, first.std)
    assert python(first, input_shape=(3, 10, 8)).train.images.shape == (12, 3, 10, 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (b"", r"data\.npz: cannot be read as a \.npz archive: it is no archive"),
        (b"PK\x05\x06" + bytes(18), "holds no x_train and y_train; it holds nothing"),
        (-200, "cannot be read as a .npz archive"),
        (
            {"x_train": np.array([{}, []], object)},
            "Object arrays cannot be loaded when allow_pickle",
        ),
        ({"x_test": X}, "holds x_test, but no y_test"),
        ({"y_val": Y}, "holds y_val, but no x_val"),
        (
            {"x_train": bad(X, (1, 0, 0, 0), np.nan)},
            r"data\.npz: x_train: 1 of 12 images hold a num",
        ),
        (
            {"x_test": X[:3], "y_test": np.array([0, 3, 1])},
            "npz: label 3 in the test split is out of range: 3 classes are 0 to 2",
        ),
        ({"y_train": Y / 1.0}, r"data\.npz: y_train: labels are whole numbers"),
        (None, "npz has a validation split already: leave out validation: 0.5"),
    ],
)
def test_messages_about_npz(tmp_path: Path, change: Any, message: str) -> None:
    file = archive(tmp_path, **(change if isinstance(change, dict) else {}))
    options = {}
    if change is None:
        archive(tmp_path, x_val=X, y_val=Y)
        options = {"validation": 0.5}
    elif isinstance(change, bytes):
        file.write_bytes(change)
    elif isinstance(change, int):
        file.write_bytes(bytes(300) + file.read_bytes()[300:change])
    with pytest.raises(UsageError, match=message):
        npz(file, **options)


def test_npz_of_another_name_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no \.npz file; name one, as in --data-dir"):
        npz(tmp_path)
    archive(tmp_path)
    (tmp_path / "b.npz").touch()
    with pytest.raises(UsageError, match=r"holds 2 \.npz files"):
        npz(tmp_path)
    with pytest.raises(UsageError, match=r"c\.npz: no such file or folder"):
        npz(tmp_path / "c.npz")


@pytest.mark.parametrize("scale", [255, 1.0], ids=["uint8", "float"])
def test_statistics_are_those_of_images_from_0_to_1(scale: Any) -> None:
    images = X if scale == 255 else (X / 255).astype(np.float32)
    data = python((images, Y))
    expected = X.transpose(1, 0, 2, 3).reshape(3, -1) / 255
    assert data.mean == pytest.approx(expected.mean(1), rel=1e-5)
    assert data.std == pytest.approx(expected.std(1), rel=1e-5)


def test_statistics_leave_the_validation_share_out_and_a_constant_channel_alone() -> None:
    data = python((X * np.uint8([1, 1, 0])[:, None, None], Y), validation=0.5)
    train = data.train.images.double() / 255
    assert data.mean == pytest.approx(train.mean((0, 2, 3)).tolist(), rel=1e-5)
    assert data.std[2] == 1


def test_resizing_is_bilinear_with_antialias() -> None:
    image = pytest.importorskip("PIL.Image")
    for size in ((10, 12), (3, 2), (5, 2)):
        data = python((X, Y), input_shape=(3, *size))
        assert data.train.images.dtype == torch.uint8
        for ours, theirs in zip(data.train.images, X, strict=True):
            picture = image.fromarray(theirs.transpose(1, 2, 0).copy())
            expected = np.asarray(picture.resize(size[::-1], image.Resampling.BILINEAR), int)
            assert np.abs(ours.permute(1, 2, 0).numpy() - expected).max() <= 1


def test_what_would_grow_too_large_is_resized_when_it_is_asked_for() -> None:
    held = python((X, Y), input_shape=(3, 50, 40), validation=0.25)
    stream = python((X, Y), input_shape=(3, 50, 40), validation=0.25, memory_limit=12 * 6000 - 1)
    assert isinstance(held.train, Split)
    assert isinstance(stream.train, Stream)
    for index in range(len(stream.train)):
        assert torch.equal(stream.train[index][0], held.train.images[index])
    assert stream.train.subset(torch.tensor([4]))[0][1] == held.train.labels[4]
    assert (stream.mean, stream.std) == (held.mean, held.std)


@pytest.mark.parametrize("share", [0.1, 0.25, 1 / 3, 0.9])
@pytest.mark.parametrize("counts", [(10, 10, 10), (1, 30, 7), (2, 5, 100)])
def test_shares_are_stratified(share: float, counts: tuple[int, ...]) -> None:
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]

    kept, held = stratified(labels, share, 4, "the share")

    assert torch.equal(torch.cat((kept, held)).sort().values, torch.arange(len(labels)))
    assert torch.equal(kept, kept.sort().values)
    taken = torch.bincount(labels[held], minlength=3)
    for count, number in zip(counts, taken.tolist(), strict=True):
        assert number == min(count - 1, number)
        assert abs(number - share * count) < 1 or number == count - 1
    if min(counts) > 9:
        assert len(held) == round(share * len(labels))
    again = stratified(labels, share, 4, "the share")[1]
    assert torch.equal(held, again)
    if len(held) > 9:
        assert not torch.equal(held, stratified(labels, share, 5, "the share")[1])


def test_shares_do_not_depend_on_threads() -> None:
    labels = torch.arange(100_000) % 7
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = stratified(labels, 0.1, 0, "")
        torch.set_num_threads(2)
        two = stratified(labels, 0.1, 0, "")
    finally:
        torch.set_num_threads(before)
    assert torch.equal(one[1], two[1])


def digits_set(**options: Any) -> Any:
    return load_data("digits", **{"input_shape": (1, 28, 28), "outputs": 10, **options})


def test_digits_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    data = digits_set(input_shape=(1, 8, 8))
    theirs, target = datasets.load_digits(return_X_y=True)

    assert len(data.train.labels) + len(data.test.labels) == 1797
    images = torch.cat((data.train.images, data.test.images)).reshape(1797, 64).numpy()
    labels = torch.cat((data.train.labels, data.test.labels)).numpy()
    expected = np.column_stack((np.floor(theirs * 255 / 16 + 0.5), target))
    ours = np.column_stack((images, labels))
    assert np.array_equal(ours[np.lexsort(ours.T)], expected[np.lexsort(expected.T)])
    assert images.max() == 255

    monkeypatch.setattr(digits, "_FILE", "moved/digits.csv.gz")
    assert torch.equal(digits_set(input_shape=(1, 8, 8)).test.images, data.test.images)


def test_digits_are_split_the_same_whatever_the_seed() -> None:
    pytest.importorskip("sklearn")
    first, second = (digits_set(seed=seed, validation=0.1) for seed in (0, 1))
    assert torch.equal(first.test.images, second.test.images)
    assert not torch.equal(first.validation.images, second.validation.images)
    assert torch.bincount(first.test.labels).min() >= 34
    assert len(first.test.labels) == 359
    assert first.train.images.shape[1:] == (1, 28, 28)


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(UsageError, match=r"^digits needs scikit-learn: pip install scikit-learn$"):
        digits_set()


def synthetic(**options: Any) -> Any:
    return load_data("synthetic", **{"input_shape": (3, 6, 6), "outputs": 7, **options})


def test_synthetic(monkeypatch: pytest.MonkeyPatch) -> None:
    data, same, other = (synthetic(samples=(50, 9), seed=seed) for seed in (0, 0, 1))
    assert data.train.images.shape == (50, 3, 6, 6)
    assert len(data.test.labels) == 9
    assert torch.bincount(data.train.labels).tolist() == [8] + [7] * 6
    assert torch.equal(data.train.images, same.train.images)
    assert not torch.equal(data.train.images, other.train.images)
    assert synthetic(samples=(7, 0)).test is None
    assert len(synthetic(input_shape=(12,)).train.labels) == 10_000
    monkeypatch.setattr(random_images, "_BYTES", 5000)
    assert len(synthetic(input_shape=(1, 10, 10)).train.labels) == 50
    assert len(synthetic(input_shape=(1, 100, 100)).train.labels) == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": (6, 6)}, "at least one image to train on for each of 7 classes; received 6"),
        (
            {"memory_limit": 999, "samples": (10, 10)},
            "synthetic: 20 images of 3x6x6 are over the me",
        ),
    ],
)
def test_messages_about_synthetic(options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        synthetic(**options)

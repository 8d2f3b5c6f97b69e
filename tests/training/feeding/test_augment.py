"""Augmentation: each image by itself, decided by seed and step, and exactly what it says."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from support import network

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.nn import functional as F  # noqa: E402, N812

from cnncalc.spec.train_section import AugmentRecipe  # noqa: E402
from cnncalc.training.data import Split, Stream  # noqa: E402
from cnncalc.training.feeding.augment import (  # noqa: E402
    AUGMENTATIONS,
    Chance,
    Stage,
    color_jitter,
    crop,
    cutout,
    flip,
)
from cnncalc.training.feeding.batches import Batch, Preparer, TrainingBatches  # noqa: E402
from cnncalc.training.feeding.seeds import Draws  # noqa: E402
from cnncalc.training.processes.shares import Share  # noqa: E402

CLASSES = 5
MANY = 2000
EVERYTHING = {"crop": 2, "flip": True, "cutout": 3, "color_jitter": 0.3, "mixup": 0.4}


def example(name: str) -> Any:
    """A value of the field that changes images."""
    kinds = {bool: True, int: 3, float: 0.4}
    return kinds[type(AugmentRecipe.model_fields[name].default)]


EACH: dict[str, dict[str, Any]] = {
    name: {name: example(name)} for name in AugmentRecipe.model_fields
} | {"everything": EVERYTHING}


def generator(seed: int = 0) -> Any:
    return torch.Generator().manual_seed(seed)


def images(count: int, shape: tuple[int, ...] = (3, 8, 8)) -> Any:
    """Bytes from 1 up, so that a 0 was put there."""
    return torch.randint(1, 256, (count, *shape), dtype=torch.uint8, generator=generator(9))


def same_image(count: int, shape: tuple[int, ...] = (3, 8, 8)) -> Any:
    return images(1, shape).repeat(count, *[1] * len(shape))


def batches_of(raw: Any, augment: dict[str, Any], seed: int = 0, batch: int = 16) -> Any:
    """The batches of a training run; by mean 0 and deviation 1, pixels stay from 0 to 1."""
    channels = raw.shape[1]
    spec = network([*raw.shape[1:]], "flatten", {"linear": CLASSES})
    recipe = cnncalc.load(spec).recipe({"augment": augment, "seed": seed, "batch_size": batch})
    prepare = Preparer(
        (0.0,) * channels, (1.0,) * channels, tuple(raw.shape[1:]), torch.contiguous_format
    )
    split = Split(raw, torch.arange(len(raw)) % CLASSES)
    return TrainingBatches(split, recipe, prepare, CLASSES, torch.device("cpu"))


def batch_of(
    raw: Any, augment: dict[str, Any], *, seed: int = 0, step: int = 0, classes: int = CLASSES
) -> Batch:
    """One batch of all images in their order."""
    made = batches_of(raw, augment, seed)
    result: Batch = made.batch(raw, torch.arange(len(raw)) % classes, step)
    return result


def test_without_augmentation_a_batch_is_the_data() -> None:
    raw = images(7)
    batch = batch_of(raw, {})
    torch.testing.assert_close(batch.images, raw / 255)
    assert batch.targets is batch.labels


@pytest.mark.parametrize("what", EACH)
def test_seed_and_step_decide(what: str) -> None:
    raw = images(16)
    first = batch_of(raw, EACH[what], seed=3, step=5)
    again = batch_of(raw, EACH[what], seed=3, step=5)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.targets, again.targets)
    for seed, step in ((3, 6), (4, 5), (5, 3)):
        other = batch_of(raw, EACH[what], seed=seed, step=step)
        assert not torch.equal(first.images, other.images)
    assert not torch.equal(first.images, raw / 255)


@pytest.mark.parametrize("what", ["crop", "flip", "cutout", "color_jitter"])
def test_each_image_draws_for_itself(what: str) -> None:
    found = batch_of(same_image(64), EACH[what]).images
    assert len(found.unique(dim=0)) == 2 if what == "flip" else len(found.unique(dim=0)) > 10


def test_every_field_is_a_function_and_none_is_without_a_field() -> None:
    fields = AugmentRecipe.model_fields
    missing = [f"{name}: feeding/augment.py has no function of that name" for name in fields]
    assert [text for text in missing if text.partition(":")[0] not in AUGMENTATIONS] == []
    unknown = [f"{name}: AugmentRecipe has no field of that name" for name in AUGMENTATIONS]
    assert [text for text in unknown if text.partition(":")[0] not in fields] == []
    assert not any(AugmentRecipe().model_dump().values()), "by default nothing is changed"


@pytest.mark.parametrize("name", [n for n in EACH if n != "everything"])
def test_shapes_are_kept_and_an_image_gets_the_same_in_any_process(name: str) -> None:
    known = AUGMENTATIONS[name]
    if known.stage is Stage.MIXED:
        x, other = images(2, (3, 6, 8)) / 255
        found, share = known.apply(x[None], other[None], 0.3, Random(1))
        assert found.shape == (1, 3, 6, 8)
        assert 0 <= share <= 1
        return
    raw = images(12, (3, 6, 8))
    x = raw if known.stage is Stage.RAW else raw / 255
    whole = known.apply(x, example(name), Chance(generator(4)))
    assert (whole.shape, whole.dtype) == (x.shape, x.dtype)
    for rank in range(2):
        share = Share(rank, 2, len(x))
        part = known.apply(share.of(x), example(name), Chance(generator(4), share))
        assert torch.equal(part, share.of(whole))


def test_what_was_drawn_before_does_not_matter() -> None:
    """So a resumed run sees the batches of one that was not interrupted."""
    made = batches_of(images(40), EVERYTHING)
    whole = [batch for epoch in (0, 1) for batch in made.epoch(epoch)]
    rest = [*made.epoch(1, start=1)]
    for one, other in zip(whole[4:], rest, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.targets, other.targets)


def test_epochs_see_every_image_once_in_another_order() -> None:
    made = batches_of(images(40), {})
    first, second = (torch.cat([batch.images for batch in made.epoch(epoch)]) for epoch in (0, 1))
    assert [len(batch.labels) for batch in made.epoch(0)] == [16, 16, 8]
    assert not torch.equal(first, second)
    assert torch.equal(first.flatten(1).sort(0).values, second.flatten(1).sort(0).values)
    other = torch.cat([batch.images for batch in batches_of(images(40), {}, seed=1).epoch(0)])
    assert not torch.equal(first, other)


class Listed(Stream):
    """Images that are made when they are asked for."""

    def __init__(self, split: Split) -> None:
        self.labels, self._split = split.labels, split

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self._split.images[index], int(self.labels[index])

    def subset(self, indices: Any) -> Stream:
        return Listed(self._split.subset(indices))


def test_a_stream_is_augmented_as_what_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnncalc.training.feeding.batches.MAX_WORKERS", 0)
    resident = batches_of(images(40), EVERYTHING)
    streaming = batches_of(images(40), EVERYTHING)
    streaming.split = Listed(resident.split)
    for one, other in zip(resident.epoch(0), streaming.epoch(0), strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.targets, other.targets)


# --- crops and flips ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 9)])
@pytest.mark.parametrize("padding", [1, 3])
def test_a_crop_is_a_window_of_the_padded_image(shape: tuple[int, ...], padding: int) -> None:
    raw = images(100, shape)
    found = crop(raw, padding, Chance(generator()))
    assert (found.dtype, found.shape) == (torch.uint8, raw.shape)
    places = [match_window(raw[i], found[i], padding) for i in range(len(raw))]
    sides = set(range(2 * padding + 1))
    assert {row for row, _ in places} == {column for _, column in places} == sides
    assert len(set(places)) > len(sides), "rows and columns are drawn apart"


def match_window(image: Any, window: Any, padding: int) -> tuple[int, int]:
    """Where in the padded image the window is."""
    padded = F.pad(image, (padding,) * 4)
    h, w = image.shape[1:]
    for row in range(2 * padding + 1):
        for column in range(2 * padding + 1):
            if torch.equal(padded[:, row : row + h, column : column + w], window):
                return row, column
    raise AssertionError("it is no window of the padded image")


def test_crops_are_equally_likely() -> None:
    raw = same_image(MANY, (1, 4, 4))
    found = crop(raw, 1, Chance(generator()))
    counts = found.unique(dim=0, return_counts=True)[1]
    assert len(counts) == 9
    assert counts.min() > 0.7 * MANY / 9
    assert counts.max() < 1.3 * MANY / 9


def test_half_of_the_images_are_mirrored() -> None:
    raw = images(MANY)
    found = flip(raw, True, Chance(generator()))
    assert found.dtype == torch.uint8
    mirrored = (found == raw.flip(-1)).flatten(1).all(1)
    kept = (found == raw).flatten(1).all(1)
    assert (mirrored | kept).all()
    assert 0.46 < mirrored.double().mean() < 0.54


# --- cutout and colours ---------------------------------------------------------------------------


@pytest.mark.parametrize("side", [1, 4, 5])
def test_cutout_blanks_a_square_about_a_place_in_the_image(side: int) -> None:
    x = torch.ones(MANY, 3, 12, 10)
    blank = cutout(x, side, Chance(generator())) == 0
    assert (blank == blank[:, :1]).all(), "all channels alike"
    rows, columns = blank[:, 0].any(2), blank[:, 0].any(1)
    assert torch.equal(blank[:, 0], rows[:, :, None] & columns[:, None, :])
    for axis in (rows, columns):
        count = axis.sum(1)
        assert count.max() == side
        assert (count >= (side + 1) // 2).all(), "its middle is inside"
        size = axis.shape[1]
        assert count.double().mean() == pytest.approx(mean_side(size, side), rel=0.03)


def mean_side(size: int, side: int) -> float:
    """Pixels of a side within the image, over all middles."""
    total = 0
    for middle in range(size):
        start = middle - side // 2
        total += min(start + side, size) - max(start, 0)
    return total / size


def test_jitter_of_grey_is_brightness_and_contrast_within_its_range() -> None:
    """A constant image has no contrast: what is left of it is the factor of its brightness."""
    found = color_jitter(torch.full((MANY, 1, 4, 4), 0.5), 0.4, Chance(generator()))
    factor = found.mean((1, 2, 3)) / 0.5
    assert factor.min() >= 0.6 - 1e-6
    assert factor.max() <= 1.4 + 1e-6
    assert factor.min() < 0.62
    assert factor.max() > 1.38
    assert factor.mean() == pytest.approx(1, abs=0.02)
    assert found.flatten(1).std(1).max() < 1e-6


def test_jitter_of_contrast_by_hand() -> None:
    x = torch.tensor([0.4, 0.6]).repeat(MANY, 1, 2, 1)
    found = color_jitter(x, 0.3, Chance(generator()))
    bright = found.mean((1, 2, 3)) / 0.5
    contrast = (found[:, 0, 0, 1] - found[:, 0, 0, 0]) / 0.2 / bright
    assert contrast.min() == pytest.approx(0.7, abs=0.01)
    assert contrast.max() == pytest.approx(1.3, abs=0.01)


@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_is_torchvisions_one_image_at_a_time(channels: int) -> None:
    functional = pytest.importorskip("torchvision.transforms.v2.functional")
    x = 0.3 + 0.3 * torch.rand(20, channels, 5, 6, generator=generator(1))
    found = color_jitter(x, 0.2, Chance(generator(2)))
    draws = generator(2)
    amounts = [
        0.8 + 0.4 * torch.rand(20, 1, 1, 1, generator=draws) for _ in range(channels // 2 + 2)
    ]
    changes = (
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
    )
    for number in range(len(x)):
        expected = x[number]
        for change, amount in zip(changes, amounts, strict=False):
            expected = change(expected, amount[number].item())
        torch.testing.assert_close(found[number], expected, rtol=0, atol=1e-4)


def test_jitter_stays_between_black_and_white() -> None:
    found = batch_of(images(200), {"color_jitter": 0.9}).images
    assert found.min() >= 0
    assert found.max() <= 1


# --- mixing ---------------------------------------------------------------------------------------


def drawn(seed: int, step: int, alpha: float, kinds: int = 1) -> tuple[Random, float]:
    """The share that seed and step draw, and the generator behind it."""
    host = Random(Draws.MIXING.seed(seed, step))
    host.choice([*range(kinds)])
    return host, host.betavariate(alpha, alpha)


def test_mixup_by_hand() -> None:
    raw = images(12)
    batch = batch_of(raw, {"mixup": 0.8}, seed=1, step=4, classes=CLASSES)
    _, share = drawn(1, 4, 0.8)
    partner = torch.randperm(12, generator=generator(Draws.AUGMENTATION.seed(1, 4)))
    x, one_hot = raw / 255, torch.eye(CLASSES)[batch.labels]
    torch.testing.assert_close(batch.images, share * x + (1 - share) * x[partner])
    torch.testing.assert_close(batch.targets, share * one_hot + (1 - share) * one_hot[partner])
    assert torch.equal(batch.labels, torch.arange(12) % CLASSES)


@pytest.mark.parametrize("step", range(6))
def test_cutmix_by_hand(step: int) -> None:
    """Every pixel is the image's own or its partner's; the targets are shares of the area."""
    raw = images(12, (3, 8, 10))
    batch = batch_of(raw, {"cutmix": 1.0}, seed=1, step=step)
    host, share = drawn(1, step, 1.0)
    middle = (host.randrange(8), host.randrange(10))
    halves = [round(size * (1 - share) ** 0.5 / 2) for size in (8, 10)]
    (top, bottom), (left, right) = (
        (max(m - half, 0), min(m + half, size))
        for m, half, size in zip(middle, halves, (8, 10), strict=True)
    )
    partner = torch.randperm(12, generator=generator(Draws.AUGMENTATION.seed(1, step)))
    expected = raw / 255
    other = expected[partner]
    expected = expected.clone()
    expected[:, :, top:bottom, left:right] = other[:, :, top:bottom, left:right]
    torch.testing.assert_close(batch.images, expected)
    own = 1 - (bottom - top) * (right - left) / 80
    one_hot = torch.eye(CLASSES)[batch.labels]
    torch.testing.assert_close(batch.targets, own * one_hot + (1 - own) * one_hot[partner])


def test_targets_of_both_are_shares_and_each_batch_has_one_of_them() -> None:
    raw = torch.arange(1, 17, dtype=torch.uint8).view(16, 1, 1, 1).expand(16, 1, 8, 8).contiguous()
    kinds = set()
    for step in range(12):
        batch = batch_of(raw, {"mixup": 1.0, "cutmix": 1.0}, step=step)
        torch.testing.assert_close(batch.targets.sum(1), torch.ones(16))
        assert (batch.targets >= 0).all()
        plain = {round(value * 255, 3) for value in batch.images.flatten().tolist()}
        kinds.add("cutmix" if all(value == round(value) for value in plain) else "mixup")
    assert kinds == {"mixup", "cutmix"}

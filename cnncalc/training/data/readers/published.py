"""The published data sets: their classes, statistics, files, and who downloads them."""

from __future__ import annotations

from dataclasses import dataclass

from cnncalc.training.data.dataset import Statistics

_DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Published:
    """What is known of a data set without its files."""

    name: str
    torchvision: str
    """Class of torchvision.datasets that downloads it, and its folder."""
    classes: tuple[str, ...]
    """Empty where the files name them."""
    count: int
    """Of classes."""
    shape: tuple[int, ...]
    statistics: Statistics
    files: str
    """What a user has to provide where it cannot be downloaded."""


_IDX = (
    "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
    "t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz"
)


def _idx(
    name: str, torchvision: str, mean: float, std: float, classes: tuple[str, ...] = _DIGITS
) -> Published:
    statistics = Statistics((mean,), (std,))
    return Published(name, torchvision, classes, 10, (1, 28, 28), statistics, _IDX)


_FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

PUBLISHED = {
    entry.name: entry
    for entry in (
        _idx("mnist", "MNIST", 0.1307, 0.3081),
        _idx("fashion_mnist", "FashionMNIST", 0.2860, 0.3530, _FASHION),
        _idx("kmnist", "KMNIST", 0.1918, 0.3483, _KUZUSHIJI),
        Published(
            *("cifar10", "CIFAR10", (), 10, (3, 32, 32)),
            Statistics((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
            "cifar-10-python.tar.gz",
        ),
        Published(
            *("cifar100", "CIFAR100", (), 100, (3, 32, 32)),
            Statistics((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
            "cifar-100-python.tar.gz",
        ),
        Published(
            *("svhn", "SVHN", _DIGITS, 10, (3, 32, 32)),
            Statistics((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
            "train_32x32.mat and test_32x32.mat",
        ),
    )
}

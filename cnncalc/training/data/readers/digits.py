"""Real handwritten digits that come with scikit-learn, so training works offline."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cnncalc.errors import UsageError
from cnncalc.training.data.dataset import Source, Split
from cnncalc.training.data.fitting.splits import stratified
from cnncalc.training.data.readers.named import DataSource, Place

_FILE = "datasets/data/digits.csv.gz"
_TEST_SHARE = 0.2
_SEED = 0


def read() -> Source:
    """1,797 images of 8×8; levels 0..16 become 0..255.

    A fifth of each class is the test split: always the same one, whatever the run's seed, so that
    accuracies compare and no seed trains on another's test images.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    data, target = _table()
    levels = (data.astype(np.int64) * 255 + 8) // 16
    images = torch.from_numpy(levels.astype(np.uint8)).reshape(-1, 1, 8, 8)
    whole = Split(images, torch.from_numpy(target.astype(np.int64)))
    kept, held = stratified(whole.labels, _TEST_SHARE, _SEED, "the test share")
    classes = tuple("0123456789")
    return Source("digits", classes, whole.subset(kept), test=whole.subset(held))


def _table() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Levels (1797, 64) and digits (1797,).

    The file is read in place where it can be: to import scikit-learn takes seconds.
    """
    package = find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise UsageError("digits needs scikit-learn: pip install scikit-learn")
    file = Path(package.submodule_search_locations[0]) / _FILE
    if file.is_file():
        table = np.loadtxt(file, delimiter=",")
        return table[:, :-1], table[:, -1]
    from sklearn.datasets import load_digits

    data, target = load_digits(return_X_y=True)
    return data, target


DATA_SETS = (
    DataSource(
        "digits",
        "1,797 handwritten digits, 8×8, grey, 10 classes",
        "comes with scikit-learn: no network, no files",
        Place.NONE,
        lambda _: read(),
    ),
)

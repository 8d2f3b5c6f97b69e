"""What every data set that has a name must do, over all that are found."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
from support.data_files import EXAMPLES

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from cnncalc.training.data import NAMES, load_data, readers  # noqa: E402
from cnncalc.training.data.loading import DATA_SETS  # noqa: E402
from cnncalc.training.data.readers.named import Place  # noqa: E402


@pytest.mark.parametrize("name", NAMES)
def test_it_is_read_and_fits_a_network(name: str, tmp_path: Path) -> None:
    known = DATA_SETS[name]
    needs = {"svhn": "scipy", "digits": "sklearn"}.get(name)
    if needs:
        pytest.importorskip(needs)
    directory = None
    if known.place is not Place.NONE:
        assert name in EXAMPLES, f"{name}: tests/support/data_files.py has no example of it"
        directory = tmp_path / name
        EXAMPLES[name](directory)
    outputs = known.published.count if known.published else 10
    data = load_data(name, input_shape=(3, 8, 8), outputs=outputs, directory=directory)
    assert data.name == name
    assert 1 < len(data.classes) <= outputs
    for split in (data.train, data.test):
        assert split.images.shape[1:] == (3, 8, 8)
        assert len(split.images) == len(split.labels)
        assert 0 <= int(split.labels.min()) <= int(split.labels.max()) < len(data.classes)


def test_no_two_bear_the_same_name() -> None:
    found = iter_modules(readers.__path__, f"{readers.__name__}.")
    modules = [import_module(module.name) for module in found]
    stated = [each for module in modules for each in getattr(module, "DATA_SETS", ())]
    assert sorted(each.name for each in stated) == sorted(NAMES)
    assert all(each.about and each.origin for each in stated)

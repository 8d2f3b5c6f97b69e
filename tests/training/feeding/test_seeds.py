"""Random numbers of a run: they are those of every run that was ever begun."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from cnncalc.training.feeding.seeds import Draws, epoch_order  # noqa: E402


def test_the_streams_are_what_they_were() -> None:
    """A run that an earlier cnncalc began would go on with other numbers."""
    found = {draws.name: draws.seed(7, 5) for draws in Draws}
    assert found == {
        "ORDER": 9150742111311880773,
        "AUGMENTATION": 9064284354508286348,
        "MIXING": 1996349377450170001,
        "MODEL": 8118574115972245598,
        "STREAM": 8654413974808482616,
    }
    assert Draws.MODEL.seed(7) == 880155747399164344
    assert epoch_order(8, 7, 5).tolist() == [5, 6, 1, 2, 7, 0, 4, 3]


def test_neighbours_share_nothing() -> None:
    seeds = {draws.seed(seed, step) for draws in Draws for seed in range(9) for step in range(9)}
    assert len(seeds) == len(Draws) * 81
    assert all(0 <= seed < 2**63 for seed in seeds)

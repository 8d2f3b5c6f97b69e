"""A format is a module and a row of `FORMATS`; each is whole, and writes what it is asked for."""

from __future__ import annotations

from importlib import import_module

import pytest
from support import bundled
from support.places import ROOT

from cnncalc.errors import UsageError
from cnncalc.render import FORMATS, render

FOLDER = ROOT / "cnncalc" / "render"


def test_each_format_is_a_module_of_its_name() -> None:
    for name in FORMATS:
        assert (FOLDER / f"{name}.py").is_file(), f"{name}: there is no cnncalc/render/{name}.py"
        assert callable(import_module(f"cnncalc.render.{name}").render)


def test_each_module_that_renders_is_a_format() -> None:
    """`listing` has no function `render`: it is no summary that it writes."""
    for file in sorted(FOLDER.glob("[a-z]*.py")):
        is_format = "\ndef render(" in file.read_text(encoding="utf-8")
        known = file.stem in FORMATS
        assert known or not is_format, (
            f"{file.stem}: FORMATS in cnncalc/render/__init__.py lacks it"
        )


def test_endings_of_files_tell_formats_apart() -> None:
    assert len({*FORMATS.values()}) == len(FORMATS)
    assert all(ending.startswith(".") for ending in FORMATS.values())


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_names_every_layer_and_ends_its_last_line(name: str) -> None:
    summary = bundled("lenet")
    text = render(summary, name)
    assert text.endswith("\n")
    missing = [row.name for row in summary.layers if row.name not in text.replace("\\", "")]
    assert not missing, f"{name}: it shows no {', '.join(missing)}"


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "json"])
def test_each_format_but_json_takes_columns(name: str) -> None:
    assert "buffers" in render(bundled("lenet"), name, columns=["name", "buffers"])
    with pytest.raises(UsageError, match="unknown column 'nothing'"):
        render(bundled("lenet"), name, columns="nothing")

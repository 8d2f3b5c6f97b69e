"""The bundled networks: one golden each with its invariants, and the totals that are published."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from io import StringIO
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import bundled, cnncalc_output, representatives
from support.formulas import evaluate
from support.places import GOLDENS

import cnncalc
from cnncalc.render import render
from cnncalc.spec import bundled as library

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = library.files()
NETWORKS = representatives()
COLUMNS = [
    "name",
    "layer",
    "output_shape",
    "parameters",
    "buffers",
    "multiply_adds",
    "flops",
    "receptive_field",
    "jump",
    "start",
    "activation_bytes",
]
SUMMED = ("parameters", "buffers", "multiply_adds", "flops", "activation_bytes")


@pytest.mark.parametrize("name", NETWORKS)
def test_golden(name: str, check_golden: Callable[[str, str], None]) -> None:
    check_golden(f"{name}.csv", render(cnncalc.analyze(name), "csv", columns=COLUMNS))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_columns_of_a_golden_sum_to_its_totals(name: str) -> None:
    text = (GOLDENS / f"{name}.csv").read_text(encoding="utf-8")
    *rows, total = csv.DictReader(StringIO(text))

    assert list(total) == COLUMNS
    assert total["name"] == "total"
    for column in SUMMED:
        if any(row[column] == "" for row in rows):
            assert (column, total[column]) == ("flops", ""), "only flops have kinds without a rule"
            continue
        assert sum(int(row[column]) for row in rows) == int(total[column]), column


def test_every_golden_belongs_to_a_network() -> None:
    assert {file.stem for file in GOLDENS.glob("*")} == set(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_shapes_and_figures_of_the_rows_agree(name: str) -> None:
    summary = cnncalc.analyze(name)
    shapes = {"input": summary.input_shape}
    used = {"input"}

    for row in summary.layers:
        assert row.input_shapes == tuple(shapes[source] for source in row.inputs), row.name
        assert row.parameters == sum(map(prod, row.weights.values())), row.name
        assert row.weight_bytes == 4 * row.parameters
        assert row.activation_bytes == 4 * prod(row.output_shape)
        assert row.name not in shapes
        shapes[row.name] = row.output_shape
        used |= {*row.inputs}

    assert shapes[summary.layers[-1].name] == summary.output_shape
    assert shapes.keys() - used == {summary.layers[-1].name}


@pytest.mark.parametrize("name", NETWORKS)
def test_totals_are_the_sums_of_the_rows(name: str) -> None:
    summary = cnncalc.analyze(name)
    totals = summary.totals

    for figure in ("parameters", "frozen_parameters", "buffers", "multiply_adds", "weight_bytes"):
        assert sum(getattr(row, figure) for row in summary.layers) == getattr(totals, figure)
    assert totals.receptive_field == summary.layers[-1].receptive_field
    unknown = {row.kind for row in summary.layers if row.flops is None}
    assert set(totals.uncounted) == unknown == ({"rbf"} if name == "lenet5_1998" else set())


@pytest.mark.parametrize(
    ("letter", "convs", "parameters", "multiply_adds", "millions"),
    [
        ("A", [1, 1, 2, 2, 2], 132_863_336, 7_609_090_048, 133),
        ("B", [2, 2, 2, 2, 2], 133_047_848, 11_308_466_176, 133),
        ("D", [2, 2, 3, 3, 3], 138_357_544, 15_470_264_320, 138),
        ("E", [2, 2, 4, 4, 4], 143_667_240, 19_632_062_464, 144),
    ],
)
def test_other_columns_of_the_vgg_paper_are_one_setting_away(
    letter: str, convs: list[int], parameters: int, multiply_adds: int, millions: int
) -> None:
    totals = bundled("vgg16", convs=convs).totals

    assert (totals.parameters, totals.multiply_adds) == (parameters, multiply_adds)
    assert round(totals.parameters / 1e6) == millions


@pytest.mark.parametrize(
    ("row", "multiply_adds"),
    [
        ("inception3a", 128.05),
        ("inception3b", 304.27),
        ("inception4a", 73.61),
        ("inception4b", 87.91),
        ("inception4c", 99.85),
        ("inception4d", 118.52),
        ("inception4e", 170.0),
        ("inception5b", 70.7),
    ],
)
def test_the_operations_of_googlenet_are_those_of_its_table_1(
    row: str, multiply_adds: float
) -> None:
    layers = cnncalc.analyze("googlenet").layers
    total = sum(layer.multiply_adds for layer in layers if layer.name.startswith(f"{row}."))

    assert round(total / 1e6, 2) == multiply_adds


@pytest.mark.parametrize(("groups", "second", "later"), [(1, 96, 384), (2, 48, 192)])
def test_the_products_of_alexnet_by_hand(groups: int, second: int, later: int) -> None:
    """Krizhevsky et al. 2012: conv3 sees both halves, conv2, conv4 and conv5 one of them."""
    convs = f"96·55²·11²·3 + 256·27²·5²·{second} + 384·13²·3²·256 + (384 + 256)·13²·3²·{later}"
    linear = "4096·256·6² + 4096² + 1000·4096"
    totals = bundled("alexnet", groups=groups).totals

    assert totals.multiply_adds == evaluate(convs) + evaluate(linear)
    assert totals.parameters == {1: 62_378_344, 2: 60_965_224}[groups]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_is_short_and_says_where_it_comes_from(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    network = cnncalc.load(file)

    assert network.name
    assert network.source
    assert cnncalc.analyze(network).source == network.source
    longest = {"inception_v3": 95}  # five kinds of modules, each drawn in a figure of its own
    assert len(text.splitlines()) <= longest.get(file.stem, 75)
    assert max(map(len, text.splitlines())) <= 120
    assert "\t" not in text


def test_the_networks_of_the_lectures_are_there() -> None:
    assert {
        "lenet", "lenet5", "lenet5_wide", "lenet5_1998", "vgg", "mlp1", "mlp3", "alexnet", "vgg16",
        "googlenet", "resnet", "conv_example", "resnet18", "resnet34", "resnet50", "resnet101",
        "resnet152",
    } <= set(library.names())  # fmt: skip


def test_names_are_unique() -> None:
    names = library.names()

    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", library.names())
def test_every_name_is_found_from_any_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    found = library.find(name)
    assert found is not None
    file, variant = found

    title = variant or cnncalc.load(file).name
    assert cnncalc.load(f"{name}.yaml").title == cnncalc.load(name).title == title
    if name in NETWORKS:
        assert cnncalc.analyze(name).name == title


def test_a_variant_is_summarised_from_another_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cnncalc", "summarize", "resnet152.yaml", "--format", "json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)

    data = json.loads(done.stdout)
    assert data["name"] == "resnet152"
    assert data["totals"]["parameters"] == 60_192_808


def test_a_file_in_the_current_folder_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lenet.yaml").write_text("input: [4]\nlayers: [linear: 3]\n", encoding="utf-8")

    assert cnncalc.analyze("lenet.yaml").totals.parameters == 15
    assert cnncalc.analyze("lenet").totals.parameters == 105_506


def test_a_variant_is_the_same_by_name_and_by_option() -> None:
    by_name = json.loads(cnncalc_output("summarize", "resnet34", "--format", "json"))
    by_option = json.loads(
        cnncalc_output("summarize", "resnet", "--variant", "resnet34", "--format", "json")
    )
    by_setting = bundled("resnet", unit="basic")

    assert by_name == by_option
    assert by_setting.totals.parameters == by_name["totals"]["parameters"] == 21_797_672


def test_resnet_18_and_152_share_their_blocks_without_copying_them() -> None:
    small, large = library.find("resnet18"), library.find("resnet152")
    assert small is not None
    assert large is not None
    shallow, deep = (
        {scope.kind for scope in cnncalc.analyze(name).scopes.values()}
        for name in ("resnet18", "resnet152")
    )
    network = cnncalc.load("resnet")

    assert small[0] == large[0]
    assert {"stage", "conv_bn", "residual"} <= shallow & deep
    assert (shallow - deep, deep - shallow) == ({"basic"}, {"bottleneck"})
    assert shallow | deep == {*network.blocks, "residual", "branch"}


def test_show_prints_the_file_itself() -> None:
    for file in FILES:
        assert cnncalc_output("show", file.stem) == file.read_text(encoding="utf-8")
    assert cnncalc_output("show", "resnet152") == cnncalc_output("show", "resnet")

"""The bundled networks as a whole: torchvision's 68 CNNs to the last digit, and `cnncalc list`."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from support import cnncalc_output
from support.published import expected, reference, summary_of, write

import cnncalc
from cnncalc.analysis.listing import SORTS, listing
from cnncalc.errors import UsageError
from cnncalc.render.listing import listing_json, listing_table
from cnncalc.spec import bundled

TORCHVISION = reference("torchvision_cnn")
ROWS = [pytest.param(*row, id=f"{row[0]}-{row[1]}") for row in TORCHVISION["rows"]]
VIDEO = [pytest.param(*row, id=row[0]) for row in TORCHVISION["video"]]
BUNDLED_AS = {"alexnet": "alexnet_torchvision", "googlenet": "googlenet_torchvision"}
"""Where the plain name is the paper's network."""


@cache
def figures() -> dict[str, dict[str, Any]]:
    """What `cnncalc list --format json` says of each network."""
    data = json.loads(listing_json(listing()))
    assert data["schema_version"] == 1
    return {network["name"]: network for network in data["networks"]}


def totals(name: str, side: int) -> tuple[int, int]:
    """Parameters and multiply-adds at 3×side×side."""
    listed = figures()[name]
    if listed["input_shape"] == [3, side, side]:
        return listed["parameters"], listed["multiply_adds"]
    found = summary_of(name, side=side).totals
    return found.parameters, found.multiply_adds


def test_all_of_torchvisions_classifiers_are_there() -> None:
    models = {row[0] for row in TORCHVISION["rows"]}
    assert (len(TORCHVISION["rows"]), len(models)) == (98, 68)
    assert {BUNDLED_AS.get(model, model) for model in models} <= figures().keys()


@pytest.mark.parametrize(("model", "weights", "side", "size", "cost", "published"), ROWS)
def test_torchvision_to_the_last_digit(
    model: str, weights: str, side: int, size: int, cost: int, published: float
) -> None:
    parameters, multiply_adds = totals(BUNDLED_AS.get(model, model), side)
    assert f"{parameters:,}" == expected(f"torchvision, {model}: parameters", f"{size:,}")
    assert multiply_adds == cost
    assert round(multiply_adds / 1e9, 3) == published


def test_the_bundled_input_is_that_of_the_first_weights() -> None:
    sides: dict[str, int] = {}
    for model, _, side, *_ in TORCHVISION["rows"]:
        sides[model] = min(side, sides.get(model, side))
    inputs = {model: figures()[BUNDLED_AS.get(model, model)]["input_shape"] for model in sides}
    assert inputs == {model: [3, side, side] for model, side in sides.items()}


@pytest.mark.parametrize(("model", "shape", "size", "cost", "published"), VIDEO)
def test_torchvisions_video_networks(
    model: str, shape: list[int], size: int, cost: int, published: float
) -> None:
    listed = figures()[model]
    assert listed["input_shape"] == shape
    assert (listed["parameters"], listed["multiply_adds"]) == (size, cost)
    assert round(listed["multiply_adds"] / 1e9, 3) == published


@pytest.mark.parametrize(
    ("name", "layers", "printed"),
    [
        ("resnet20", 20, "0.27 M"),
        ("resnet32", 32, "0.46 M"),
        ("resnet44", 44, "0.66 M"),
        ("resnet56", 56, "0.85 M"),
        ("resnet110", 110, "1.7 M"),
    ],
)
def test_resnets_for_cifar(name: str, layers: int, printed: str) -> None:
    """He et al. 2015, Table 6; shortcuts of option A have no weights."""
    summary = cnncalc.analyze(name)
    assert write(summary.totals.parameters, printed) == printed
    assert sum(row.multiply_adds > 0 for row in summary.layers) == layers


@pytest.mark.parametrize("layers", [3, 5, 11, 18])
def test_networks_for_waveforms_have_as_many_layers_as_their_names_say(layers: int) -> None:
    """Dai et al. 2017; each pool divides the axis by 4, rounded up: 2000, 500, 125, 32."""
    summary = cnncalc.analyze(f"waveform_m{layers}")
    assert sum(row.multiply_adds > 0 for row in summary.layers) == layers
    pools = [row.output_shape[1] for row in summary.layers if row.kind == "max_pool"]
    assert pools == [2000, 500, 125, 32][: len(pools)]


def test_u_net_as_printed_and_with_padding() -> None:
    valid, same = cnncalc.analyze("unet_2015"), cnncalc.analyze("unet_same")
    assert (valid.input_shape, valid.output_shape) == ((1, 572, 572), (2, 388, 388))
    assert same.output_shape[1:] == same.input_shape[1:] == (512, 512)
    assert same.totals.parameters == valid.totals.parameters == 31_030_658
    assert "crop" not in {row.kind for row in same.layers}


# --- cnncalc list ---------------------------------------------------------------------------------


def test_every_network_is_listed_once_by_its_name() -> None:
    assert [*figures()] == [variant or file.stem for file, variant in bundled.entries()]
    for name, listed in figures().items():
        found = bundled.find(name)
        assert found is not None
        assert listed["family"] == found[0].stem


def test_the_figures_are_those_of_its_table() -> None:
    for name in ("lenet", "resnet50", "r3d_18", "mlp1"):
        summary, listed = cnncalc.analyze(name), figures()[name]
        assert listed["source"] == summary.source
        assert tuple(listed["output_shape"]) == summary.output_shape
        assert listed["parameters"] == summary.totals.parameters
        assert listed["multiply_adds"] == summary.totals.multiply_adds
        field = {key: tuple(value) for key, value in listed["receptive_field"].items()}
        assert field == summary.totals.receptive_field._asdict()


def test_a_family_is_headed_by_its_file_and_source() -> None:
    lines = cnncalc_output("list", "googlenet").splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["googlenet", "googlenet_torchvision"]
    assert lines[2].endswith("without the auxiliary heads")
    lines = cnncalc_output("list", "SqueezeNet").splitlines()
    assert [line.split("  ")[0] for line in lines[2:]] == ["squeezenet", "", ""]
    assert "Iandola et al. 2016" in lines[2]
    assert lines[3].split() == ["squeezenet1_0", "3×224×224", "1,248,424", "818,924,576", "347×347"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("wide_resnet", ["wide_resnet50_2", "wide_resnet101_2"]),
        ("ronneberger", ["unet_2015", "unet_same"]),
        ("LeNet5", ["lenet5", "lenet5_1998", "lenet5_wide"]),
        ("cifar-10", ["resnet20", "resnet32", "resnet44", "resnet56", "resnet110"]),
    ],
)
def test_text_of_a_name_family_or_source_chooses(text: str, names: list[str]) -> None:
    assert [network.name for network in listing(text)] == names


@pytest.mark.parametrize("sort", SORTS)
def test_a_sorted_list_ascends(sort: str) -> None:
    networks = listing("mobilenet", sort)
    keys = [SORTS[sort](network) for network in networks]
    assert keys == sorted(keys)
    assert {network.name for network in networks} == {n.name for n in listing("mobilenet")}
    lines = listing_table(networks, by_family=False).splitlines()[2:]
    assert [line.split()[0] for line in lines] == [network.name for network in networks]


def test_the_smallest_comes_first() -> None:
    lines = cnncalc_output("list", "densenet", "--sort", "parameters").splitlines()[2:]
    assert [line.split()[0][-3:] for line in lines] == ["121", "169", "201", "161"]
    assert all("Huang et al. 2017, Table 1" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "sort", "message"),
    [
        (
            "mobilnet_v2",
            None,
            "no bundled network matches 'mobilnet_v2'; did you mean mobilenet_v2?",
        ),
        ("no such thing", None, "matches 'no such thing'; cnncalc list shows the bundled networks"),
        ("", "parameter", "cannot sort by 'parameter'; did you mean parameters?"),
        ("", "colour", "cannot sort by 'colour'; known: activation-bytes, buffers, flops, frozen"),
    ],
)
def test_a_list_of_nothing_says_why(text: str, sort: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        listing(text, sort)

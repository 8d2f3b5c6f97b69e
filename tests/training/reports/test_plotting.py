"""`cnncalc plot`: curves, the confusion matrix and the first filters."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from support import conv, network

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from PIL import Image  # noqa: E402
from support.saved_runs import copies, metrics, refused, said  # noqa: E402

from cnncalc.runs import records  # noqa: E402
from cnncalc.training import train as api  # noqa: E402
from cnncalc.training.reports import plotting  # noqa: E402

pytestmark = pytest.mark.training


@pytest.fixture
def matplotlib() -> Any:
    return pytest.importorskip("matplotlib", reason="matplotlib is not installed")


@pytest.mark.usefixtures("matplotlib")
@pytest.mark.parametrize("what", plotting.KINDS)
def test_pictures(what: str, run: Path, tmp_path: Path) -> None:
    png, svg = tmp_path / "a.png", tmp_path / "a.svg"
    assert said("plot", str(run), "-o", str(png), "--what", what) == f"{png}: {what} of tiny\n"
    said("plot", str(run), "-o", str(svg), "--what", what)
    with Image.open(png) as image:
        assert len(image.convert("L").getcolors() or []) > 10
    assert ET.parse(svg).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "a.png", "a.svg"}
    assert "matplotlib.pyplot" not in sys.modules


@pytest.mark.usefixtures("matplotlib")
def test_curves_are_those_of_the_metrics(run: Path) -> None:
    from cnncalc.training.reports.figures import curves

    folder = copies(run, "_odd $_$ name")
    figure = curves(records.metrics_of([run, folder / "_odd $_$ name"]))
    rows = metrics(run)
    for axes, quantity in zip(figure.axes, ("loss", "accuracy"), strict=True):
        lines = {str(line.get_label()): line for line in axes.get_lines()}
        assert len(lines) == 6
        for split in ("train", "val", "test"):
            points = [(int(row["epoch"]), float(row[f"{split}_{quantity}"])) for row in rows]
            assert lines[f"tiny, {split}"].get_xydata().tolist() == [[*point] for point in points]
    figure.savefig(folder / "x.svg")


@pytest.mark.usefixtures("matplotlib")
def test_the_names_of_many_runs_leave_room_for_their_curves(run: Path) -> None:
    from cnncalc.training.reports.figures import curves

    rows = [{**row, "val_loss": None, "val_accuracy": None} for row in records.read_metrics(run)]
    names = [f"resnet18_cifar-20261121-1015{number}" for number in range(10, 40)]
    figure = curves(dict.fromkeys(names, rows))
    figure.savefig(run / "x.png")  # warns, which is an error here, where axes have no room
    for axes in figure.axes:
        assert axes.get_window_extent().height > 2.5 * figure.dpi
        assert axes.get_legend() is None
        assert len({line.get_color() for line in axes.get_lines()}) == len(names)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*names, "test", "train"]


@pytest.mark.usefixtures("matplotlib")
def test_long_names_leave_room_for_the_confusion_matrix(tmp_path: Path) -> None:
    from cnncalc.training.reports.figures import confusion

    title = "a network of a very long name on a data set, test: 50.00%"
    figure = confusion(title, ["a class of forty letters, more or less", "b"], [[3, 0], [3, 0]])
    figure.savefig(tmp_path / "x.png")
    matrix, _ = figure.axes
    assert min(matrix.get_window_extent().bounds[2:]) > 3 * figure.dpi
    assert figure._suptitle.get_window_extent().width < figure.bbox.width
    names = [label.get_text() for label in matrix.get_yticklabels()]
    assert names == ["a class of forty letters, mor…", "b"]


@pytest.mark.usefixtures("matplotlib")
def test_runs_of_one_name_are_told_apart(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "other" / "tiny")
    names = [str(run), str(tmp_path / "other" / "tiny")]
    assert list(records.metrics_of(map(Path, names))) == names
    assert "curves of tiny, tiny" in said("plot", *names, "-o", str(tmp_path / "two.svg"))


def test_filters_stand_side_by_side() -> None:
    images = torch.rand(5, 3, 2, 4)
    whole = plotting.mosaic(images)
    assert whole.shape == (5, 14, 3)
    assert torch.equal(whole[3:5, 5:9], images[4].permute(1, 2, 0))
    assert whole[2].unique(dim=0).flatten().tolist() == pytest.approx([0.75, 0.85, 1.0])


@pytest.mark.usefixtures("matplotlib")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "x.pdf"], "x.pdf: a picture ends in .png or .svg"),
        (["-o", "x"], "x: a picture ends in .png or .svg"),
        (["-o", "x.png", "--what", "filter"], "there is no plot 'filter'; did you mean filters?"),
        (["again", "-o", "x.png", "--what", "filters"], "filters are drawn of one run; received 2"),
        (["-o", "x.png", "--weights", "last"], "curves are drawn from the metrics, whatever the"),
        (["again", "-o", "x.png"], "again: is no folder of a run (metrics.csv is missing)"),
    ],
)
def test_what_cannot_be_drawn(
    options: list[str], message: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    assert refused("plot", str(run), *options).startswith(message)
    assert not (run / "x.png").exists()


@pytest.mark.usefixtures("matplotlib")
@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "net has no convolution of images"),
        ([conv(2, 1), conv(3, 1)], None),
        ([{"slice": {"start": 0, "stop": 2}}, conv(2, 1)], "conv1 sees 2 channels"),
    ],
)
def test_filters_that_can_be_shown(layers: list[Any], message: str | None, tmp_path: Path) -> None:
    folder = tmp_path / "net"
    data = (torch.randint(256, (9, 3, 4, 4), dtype=torch.uint8), torch.arange(9) % 3)
    net = network([3, 4, 4], *layers, "flatten", {"linear": 3}, name="net")
    api.train(net, data=data, output=folder, settings={"steps": 1}, device="cpu")
    command = ["plot", str(folder), "-o", str(tmp_path / "x.png"), "--what", "filters"]
    if message is None:
        assert said(*command).endswith("filters of net\n")
    else:
        assert refused(*command).startswith(message)


def test_a_run_that_was_not_evaluated_has_no_curves(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    header = (run / "metrics.csv").read_text().splitlines()[0]
    (run / "metrics.csv").write_text(f"{header}\n")
    line = refused("plot", str(run), "-o", str(tmp_path / "x.svg"))
    assert line == "tiny: it has not been evaluated yet"


def test_without_matplotlib(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cnncalc.training.reports.figures", raising=False)
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    line = refused("plot", str(run), "-o", str(run / "x.png"))
    assert line == "plot needs matplotlib: pip install matplotlib"

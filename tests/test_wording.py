"""What a file says can move no cursor, break no line and turn no text, wherever it is shown."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import examples, unsafe
from support.places import ROOT
from support.processes import invoke

import cnncalc
from cnncalc import wording
from cnncalc.render import FORMATS, render
from cnncalc.wording import as_json, csv_cell, printable

EVIL = "\x1b[2J\x9b31m\u202eabc\u2066\u2028\u2029\r\n\t\x00\x7f\udcff=\ufeff"
SHOWN = r"\x1b[2J\x9b31mU+202EabcU+2066U+2028U+2029\r\n\t\x00\x7f\udcff=U+FEFF"
TEXTS = st.text(
    st.one_of(
        st.sampled_from(EVIL + "=+-@'\"\\|<>$&_`é犬"), st.characters(exclude_categories=("Cs",))
    ),
    max_size=20,
)


def test_each_is_shown_by_its_escape() -> None:
    assert printable(EVIL) == SHOWN
    assert printable("a\u00a0b 犬 é 👩\u200d🔬") == "a\u00a0b 犬 é 👩\u200d🔬"


@given(st.text())
def test_nothing_else_is_changed(text: str) -> None:
    shown = printable(text)
    assert unsafe(shown) == set()
    assert "\n" not in shown
    assert printable(shown) == shown
    if not unsafe(text) and "\n" not in text and text.isprintable():
        assert shown == text


@given(st.recursive(TEXTS | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3)))
def test_json_gives_values_back(value: Any) -> None:
    text = as_json(value)
    assert unsafe(text) == set()
    assert "\n" not in text
    assert json.loads(text) == value


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_no_spreadsheet_runs_a_cell(begin: str) -> None:
    assert csv_cell(f"{begin}HYPERLINK(1)").startswith("'")
    assert csv_cell(f"a{begin}") == f"a{printable(begin)}"


@pytest.mark.parametrize("value", [-3, -0.5, None, "-16x-16", "-16x", "-4", "2x3"])
def test_numbers_stay_numbers(value: object) -> None:
    assert csv_cell(value) == value


def spec(text: str) -> dict[str, Any]:
    return {
        "name": f"n{text}",
        "source": text,
        "input": [1, 4, 4],
        "layers": [{"unknown": {"operation": f"o{text}", "shape": [2]}}],
    }


@settings(max_examples=examples(100))
@given(TEXTS)
def test_no_format_shows_it(text: str) -> None:
    summary = cnncalc.analyze(spec(text))
    for form in FORMATS:
        assert unsafe(render(summary, form)) == set(), form
    data = json.loads(render(summary, "json"))
    assert (data["name"], data["source"]) == (summary.name, summary.source)
    assert data["layers"][0]["layer"] == f"o{text}"


@pytest.mark.parametrize("begin", ["=", "+", "-", "@"])
def test_no_cell_of_the_csv_is_run(begin: str) -> None:
    data = spec("")
    operation = "='=HYPERLINK(1)'" if begin == "=" else f"{begin}HYPERLINK(1)"
    data["layers"] = [{"unknown": {"operation": operation, "shape": [2]}}]
    rows = [*csv.DictReader(io.StringIO(render(cnncalc.analyze(data), "csv")))]
    assert rows[0]["layer"] == f"'{begin}HYPERLINK(1)"
    assert rows[0]["activation_bytes"] == "8"


MISTAKES: dict[str, dict[str, Any]] = {
    "a field": {"layers": [{"conv": {f"out_channels{EVIL}": 3, "kernel_size": 1}}]},
    "a field and a value": {"layers": [{"conv": {f"out_channels:{EVIL}5": 3}}]},
    "a kind": {"layers": [f"relu{EVIL}"]},
    "a key": {"layers": ["relu"], f"layer{EVIL}": 1},
    "a value": {"layers": [{"conv": {"out_channels": EVIL, "kernel_size": 1}}]},
    "an expression": {"layers": [{"dropout": f"={EVIL}"}]},
    "an input": {"layers": [{"add": {}, "inputs": [EVIL]}]},
    "a variant": {"variants": {EVIL: {"a": 1}}, "layers": ["relu"]},
    "a block": {"blocks": {EVIL: {"layers": ["relu"]}}, "layers": ["relu"]},
    "a parameter": {"parameters": {EVIL: 1}, "layers": ["relu"]},
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_no_message_shows_it(mistake: str) -> None:
    with pytest.raises(cnncalc.CnncalcError) as caught:
        cnncalc.analyze({"input": [1, 8, 8], **MISTAKES[mistake]})
    assert unsafe(str(caught.value)) == set()
    assert str(caught.value).count("\n") == 0


def test_nor_do_the_names_of_variants() -> None:
    network = {"input": [1], "variants": {"\x1b[2Jevil": {}}, "layers": ["relu"]}
    with pytest.raises(cnncalc.SpecError, match="no variant 'x'") as caught:
        cnncalc.load(network, variant="x")
    assert r"known: \x1b[2Jevil" in str(caught.value)


@pytest.mark.parametrize("error", [cnncalc.UsageError, cnncalc.OutputError, cnncalc.CnncalcError])
def test_nor_does_any_error(error: type[Exception]) -> None:
    assert str(error(f"run{EVIL}: damaged")) == f"run{SHOWN}: damaged"


def test_nor_does_a_files_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "a\x1b[31m\u202eb.yaml"
    Path(name).write_text("input: [1, 8, 8]\nlayers: [reluu]\n")
    status, out, err = invoke("summarize", name)
    assert (status, out) == (2, "")
    assert err.startswith(r"a\x1b[31mU+202Eb.yaml:2:10: unknown layer 'reluu'")
    assert unsafe(err) == set()
    Path(name).write_text("input: [1, 8, 8]\nlayers: [relu]\n")
    status, out, _ = invoke("summarize", name)
    assert status == 0
    assert unsafe(out) == set()
    status, out, err = invoke("summarize", name, "-o", "no\x1b[31m/such.md")
    assert (status, out) == (1, "")
    assert err.startswith(r"no\x1b[31m/such.md: cannot be written")


def test_nor_does_a_folder_of_a_run_or_a_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of images in folders, whose names are the classes."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    monkeypatch.chdir(tmp_path)
    evil = "c\x1b[31m\u202e"
    for split in ("train", "test"):
        for label in (evil, "d"):
            folder = tmp_path / "images" / split / label
            folder.mkdir(parents=True)
            for number in range(4):
                image.linear_gradient("L").resize((8, 8)).save(folder / f"{number}.png")
    layers = ["flatten", {"linear": 2}]
    Path("net.json").write_text(
        json.dumps({"name": f"n{evil}", "input": [1, 8, 8], "layers": layers})
    )
    run = f"r{evil}"
    given = ["--data", "imagefolder", "--data-dir", "images", "--epochs", "1", "--batch-size", "4"]
    status, out, err = invoke("train", "net.json", *given, "--device", "cpu", "-o", run)
    assert (status, out) == (0, "r" + r"c\x1b[31mU+202E" + "\n"), err
    assert unsafe(err) == set()
    for command in (
        ["runs", "."],
        ["runs", ".", "--format", "json"],
        ["evaluate", run],
        ["evaluate", run, "--format", "json"],
        ["predict", run, f"images/test/{evil}/0.png"],
        ["predict", run, f"images/test/{evil}/0.png", "--format", "json"],
        ["train", "net.json", *given, "--device", "cpu", "-o", run],
        ["train", "--resume", run],
    ):
        status, out, err = invoke(*command)
        assert unsafe(out + err) == set(), command
        assert "[31m" in out + err, command


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (wording.write_shape((32, 24, 24)), "32×24×24"),
        (wording.write_shape((10**23, 10**24)), f"1{'0' * 23}×1.00e24"),
        (wording.write_shape(()), ""),
        (wording.write_shapes([(20, 1, 5, 5), (20,)]), "20×1×5×5, 20"),
        (wording.times((3, 32, 32)), "3x32x32"),
        (wording.times((None, -4)), "x-4"),
        (wording.times((None, None)), ""),
        (wording.write_axes((7, None, -3)), "7×–×−3"),
        (wording.write_axes(()), "–"),
        (wording.either(["png"]), "png"),
        (wording.either(("png", "svg", "pdf")), "png, svg or pdf"),
    ],
)
def test_shapes_and_choices_in_words(written: str, text: str) -> None:
    assert written == text


def test_no_one_else_spells_a_shape() -> None:
    joins = re.compile(r"""["'][x×]["']\.join""")
    files = (ROOT / "cnncalc").rglob("*.py")
    joining = {file.name for file in files if joins.search(file.read_text(encoding="utf-8"))}
    assert joining == {"wording.py"}

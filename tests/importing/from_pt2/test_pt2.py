"""A `.pt2` file is data: honest ones import as their modules do, and no file runs code."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.processes import invoke  # noqa: E402
from support.pt2_files import (  # noqa: E402
    EVIL,
    HOSTILE,
    InPlace,
    Members,
    Net,
    called,
    edited,
    everywhere,
    members,
    mutated,
    place,
    save,
    write,
)
from torch import nn  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

import cnncalc  # noqa: E402
from cnncalc.cli import app  # noqa: E402
from cnncalc.importing.from_pt2 import symbols  # noqa: E402
from cnncalc.importing.from_torch.program import read_program  # noqa: E402
from cnncalc.importing.from_torch.tracing import trace  # noqa: E402
from cnncalc.importing.import_network import import_network, imported  # noqa: E402


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Members]:
    """The members of honest files."""
    folder = tmp_path_factory.mktemp("honest")
    save(folder / "net.pt2", Net(), varying=(0,))
    save(folder / "in_place.pt2", InPlace())
    return {name: members(folder / f"{name}.pt2") for name in ("net", "in_place")}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a module in it that a file may try to import."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "evil.py").write_text(EVIL, encoding="utf-8")
    return tmp_path


def refused(file: str) -> str:
    """The one line that a file is refused with; nothing is run or written."""
    with pytest.raises(cnncalc.CnncalcError) as caught:
        CliRunner().invoke(app, ["import", file, "-o", "x.yaml"], catch_exceptions=False)
    assert caught.value.exit_status == 2
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(file.removesuffix(".pt2"))
    assert not Path("ran").exists()
    assert not Path("x.yaml").exists()
    return message


class TestHonestFiles:
    def spec_of(self, module: nn.Module) -> dict[str, Any]:
        sketch = read_program(trace(module, (3, 8, 8), "net"), "net")
        return imported(sketch, source="imported from net.pt2").spec

    @pytest.mark.parametrize(
        ("module", "varying"),
        [(Net(), ()), (Net(), (0,)), (InPlace(), ())],
        ids=["fixed", "any batch", "in place"],
    )
    def test_import_as_the_module_does(self, module: nn.Module, varying: tuple[int, ...]) -> None:
        save(Path("net.pt2"), module, varying=varying)
        assert import_network("net.pt2").spec == self.spec_of(module)

    def test_what_is_written_into_for_any_batch_is_no_layer(self) -> None:
        save(Path("net.pt2"), InPlace(), varying=(0,))
        unknown = cnncalc.analyze(cnncalc.load(import_network("net.pt2").spec)).totals.unknown
        assert any("slice_scatter" in name for name in unknown)

    def test_a_frozen_weight_is_one(self, files: dict[str, Members]) -> None:
        write(Path("net.pt2"), files["net"])
        totals = cnncalc.analyze(cnncalc.load(import_network("net.pt2").spec)).totals
        assert (totals.parameters, totals.frozen_parameters) == (8 + 56, 112)

    def test_only_the_batch_may_vary(self) -> None:
        save(Path("net.pt2"), nn.Sequential(nn.Conv2d(3, 4, 3)), varying=(0, 2, 3))
        message = refused("net.pt2")
        assert "net: its input has the shape ['s" in message
        assert "', '3', 's" in message
        assert message.endswith("only the first axis, the batch, may vary, and another must follow")

    def test_an_operator_on_graphs_is_unknown(self) -> None:
        class WithoutGradients(nn.Sequential):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                with torch.no_grad():
                    return super().forward(x)

        save(Path("net.pt2"), WithoutGradients(nn.Conv2d(3, 4, 3)))
        unknown, *_ = import_network("net.pt2").spec["layers"]
        assert unknown["unknown"]["operation"].startswith("wrap_with_set_grad_enabled")

    def test_extra_files_are_left_alone(self, files: dict[str, Members]) -> None:
        root = next(iter(files["net"])).partition("/")[0]
        write(Path("net.pt2"), files["net"] | {f"{root}/extra/a note.txt": b"import os"})
        assert import_network("net.pt2").spec["input"] == [3, 8, 8]

    def test_nothing_of_pytorch_is_changed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its own readers are neither called nor replaced."""
        import pickle

        save(Path("net.pt2"), Net())
        before = (torch.load, pickle.loads, torch._C._pickle_load_obj)
        monkeypatch.setattr("torch.export.load", lambda *_: 1 / 0)
        seen = []
        monkeypatch.setattr(
            "cnncalc.importing.from_pt2.program.GraphBuilder.build",
            lambda *_: seen.append((torch.load, pickle.loads, torch._C._pickle_load_obj)) or 1 / 0,
        )
        assert "ZeroDivisionError" in refused("net.pt2")
        assert seen == [before]


class TestHostileFiles:
    @pytest.mark.parametrize("way", HOSTILE)
    def test_no_way_to_hide_code_runs_it(self, way: str, files: dict[str, Members]) -> None:
        base, change = HOSTILE[way]
        held = dict(files[base])
        change(held)
        assert held != files[base]
        write(Path("bad.pt2"), held)
        message = refused("bad.pt2")
        assert message.endswith(
            "; such a file can run code where PyTorch loads it, so it is not read"
        )

    def test_the_message_says_where(self, files: dict[str, Members]) -> None:
        held = dict(files["in_place"])
        called("torch.ops.aten.from_file.default", "x")(held)
        write(Path("bad.pt2"), held)
        assert refused("bad.pt2").startswith(
            "bad.pt2: graph_module.graph.nodes.0.target holds 'torch.ops.aten.from_file.default',"
            " which is no operator of PyTorch on tensors or sizes;"
        )

    def test_a_member_that_is_there_twice(self, files: dict[str, Members]) -> None:
        """One reader may take the first, another the last."""
        held = dict(files["net"])
        name = place(held, "models/model.json")
        write(Path("bad.pt2"), held)
        everywhere("expr_str", "__import__('os')")(held)
        with zipfile.ZipFile("bad.pt2", "a") as archive, pytest.warns(UserWarning, match="Dup"):
            archive.writestr(name, held[name])
        assert "bad.pt2: it holds 'models/model.json' twice;" in refused("bad.pt2")

    def test_the_names_of_an_honest_file_are_needed(self, files: dict[str, Members]) -> None:
        held = dict(files["net"])
        with edited(held, "models/model.json") as program:
            node = program["graph_module"]["graph"]["nodes"][0]
            node["target"] = "torch.ops.aten.nothing.default"
        write(Path("bad.pt2"), held)
        assert "this PyTorch has no operator torch.ops.aten.nothing" in refused("bad.pt2")

    @pytest.mark.parametrize(
        "count", [30, pytest.param(500, marks=pytest.mark.exhaustive)], ids=str
    )
    def test_damaged_files_end_with_one_message(
        self, count: int, files: dict[str, Members]
    ) -> None:
        read = 0
        for seed in range(count):
            chance = random.Random(seed)
            base = files["in_place" if chance.random() < 0.1 else "net"]
            write(Path("bad.pt2"), mutated(base, chance))
            if chance.random() < 0.2:
                data = bytearray(Path("bad.pt2").read_bytes())
                data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
                Path("bad.pt2").write_bytes(data)
            status, _, errors = invoke("import", "bad.pt2")
            assert status in (0, 2), seed
            assert status == 0 or errors.count("\n") == 1, errors
            assert not Path("ran").exists()
            read += status == 0
        assert 0 < read < count


class TestTextsOfSizes:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("12", 12),
            ("2*s77", 4),
            ("s77 + 1 - 3", 0),
            ("Mul(Integer(2), Symbol('s77', positive=True, integer=True))", 4),
            ("Add(Symbol('s77', integer=True), Integer(-1))", 1),
            ("FloorDiv(Symbol('s77'), Integer(2))", 1),
            ("((s77 - 1)//2) % 3", 0),
            ("Max(1, Min(s77, 8))", 2),
            ("Pow(Symbol('s77'), Integer(3))", 8),
            ("PythonMod(s77, 5)", 2),
            ("u0 + s77", None),
            ("Pow(s77, Integer(-1))", None),
            ("Mod(s77, s77 - 2)", None),
            ("Eq(s77, 2)", None),
            ("And(s77 >= 2, Ne(Mod(s77, 3), 0))", None),
            ("(2 <= s77) & ~(s0 < 3)", None),
            ("Mul(Rational(1, 2), Float('1.5', precision=53))", None),
            ("IntTrueDiv(s77, 3)", None),
            ("(2 if s77 > 1 else s0)", None),
            ("int_oo", None),
        ],
    )
    def test_what_pytorch_writes(self, text: str, value: int | None) -> None:
        assert symbols.value_of(text, {"s77": 2}) == value

    @pytest.mark.parametrize(
        "text",
        [
            *("", " ", "s77)", "2 2", "os", "sys", "__name__", "s77.real", "(1).real", "s77[0]"),
            *("exec('a')", "open('a')", "lambda: 0", "[s for s in 1]", "'a'", "f'{s77}'"),
            *("Symbol('s77').subs", "Symbol(s77)", "Symbol('__class__')", "Symbol('s1', a=s2)"),
            *("Integer('7')", "Float('a')", "getattr(s77, 'real')", "print(1)", "a.b if 1 else 2"),
            *("(s1 := 2)", "s77; s78", "s77\n\nimport os", "s77 # x", "\\u0073", "s77@s78", "1_0"),
            *("9**9**9", "2**(2**9)", "1 << 99", "10**30", "Pow(9, 999)", f"{'9' * 5000}"),
            *("(" * 500 + "1" + ")" * 500, "-" * 5000 + "1", "+".join("1" * 30000), "*s77"),
            *("Max(*s77)", "Max(**s77)", "yield", "await s1", "...", "None", "b'a'", "1j", "0x10"),
            *("torch.load('a')", "math.os", "torch.sym_max.real(1)", "é0", "L['x'].size()[0]"),
        ],
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(symbols.NotASizeError):
            symbols.value_of(text)

    def test_conditions_on_the_sizes_of_inputs(self) -> None:
        for text in (
            "L['x'].size()[0] >= 2",
            "torch.sym_max(1, L['args'][0].size()[3] // 2) != (4*L['x'].stride()[1])",
            "(2 % (2*(L['x'].size()[2] // 2))) != 0 and not L['n'] == 3",
            "max(1, (-2) + L['x'].size()[3])*max(1, (-2)) != math.floor(L['x'].size()[2])",
        ):
            symbols.check_guard(text)
        for text in ("L['x'].__class__", "L['x'].numpy()", "L[__import__('os')]", "L['x'].a.b()"):
            with pytest.raises(symbols.NotASizeError):
                symbols.check_guard(text)

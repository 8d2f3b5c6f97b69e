"""Broken specs: one message like a compiler's, exit status 2, nothing on stdout, no traceback.

The cases are in `tests/broken`; how to read them stands in its README.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml
from support.users import as_a_user_with_limits

import cnncalc
from cnncalc import cli, errors
from cnncalc.errors import CnncalcError, OutputError, Place, SpecError, UsageError
from cnncalc.spec import yaml as parsing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Runner = Callable[..., "Outcome"]

BROKEN = Path(__file__).parent / "broken"
VALID = "input: [3, 12, 12]\nlayers:\n  - relu\n"


class Case(NamedTuple):
    """A broken spec, how it is read and the message that it must give."""

    command: str
    title: str
    arguments: list[str]
    spec: str
    message: str


class Outcome(NamedTuple):
    """What a command left behind."""

    status: object
    out: str
    err: str


def cases(file: Path) -> Iterator[Case]:
    for text in file.read_text(encoding="utf-8").split("=== ")[1:]:
        title, _, rest = text.partition("\n")
        arguments = ""
        if rest.startswith("$ "):
            arguments, _, rest = rest[2:].partition("\n")
        spec, _, message = rest.partition("\n=> ")
        command = "train" if file.stem == "train" else "summarize"
        yield Case(command, title, shlex.split(arguments), f"{spec}\n", message.rstrip("\n"))


CASES = [
    pytest.param(case, id=f"{file.stem}: {case.title}")
    for file in sorted(BROKEN.glob("*.txt"))
    for case in cases(file)
]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], _folder: None
) -> Runner:
    """Runs `cnncalc summarize …`, or another, in a folder that holds the spec."""

    def invoke(
        spec: str | bytes | None,
        *arguments: str,
        name: str = "spec.yaml",
        command: str = "summarize",
    ) -> Outcome:
        monkeypatch.setattr("signal.signal", lambda *_: None)
        if spec is not None:
            Path(name).write_bytes(spec if isinstance(spec, bytes) else spec.encode())
        monkeypatch.setattr("sys.argv", ["cnncalc", command, name, *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Outcome(ended.value.code, *capsys.readouterr())

    return invoke


def split(err: str) -> tuple[str, str, list[str]]:
    """The table before a message, the message, and the line of the spec with its caret."""
    table, _, rest = err.rpartition("\n\n")
    message, *excerpt = rest.rstrip("\n").split("\n")
    return table, message, excerpt


def test_there_are_many_cases() -> None:
    titles = [case.id for case in CASES]
    assert len(titles) == len(set(titles)) >= 240


@pytest.mark.parametrize("case", CASES)
def test_broken_spec(case: Case, run: Runner) -> None:
    if case.command == "train":
        _load_torch()
    status, out, err = run(case.spec, *case.arguments, command=case.command)
    assert (status, out) == (2, "")
    table, message, excerpt = split(err)
    placed = re.match(r"\d+:\d+: ", case.message)
    assert message == f"spec.yaml:{case.message}" if placed else message == case.message
    if placed:
        check_excerpt(case, excerpt)
    assert not table or "─" in table


def _load_torch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.optim.SGD([torch.zeros(1)])


def check_excerpt(case: Case, excerpt: list[str]) -> None:
    """The line of the spec stands under the message, and the caret under the column."""
    line, column = map(int, case.message.split(":")[:2])
    written = case.spec.split("\n")[line - 1]
    shown, caret = excerpt
    assert caret.strip() == "^"
    assert shown.startswith("    ")
    assert shown[4:].strip() in written.replace("\t", " ")
    position = len(caret) - 1
    found, wanted = (
        (f"{text} "[at]).replace("\t", " ")
        for text, at in ((shown, position), (written, column - 1))
    )
    assert found == wanted
    if len(written) <= 100:
        assert (shown[4:], position) == (written.replace("\t", " ").rstrip(), 4 + column - 1)


SYNTAX = [case for case in CASES if case.id is not None and case.id.startswith("yaml")]


@pytest.mark.parametrize("case", SYNTAX)
def test_without_libyaml(case: Case, run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML's own parser words its complaints otherwise: the reader sees the same message."""
    monkeypatch.setattr(parsing, "_LOADER", yaml.SafeLoader)
    status, _, err = run(case.spec)
    assert status == 2
    assert split(err)[1] == f"spec.yaml:{case.message}"


def test_rows_before_a_shape_error(run: Runner) -> None:
    """The last 20 rows up to the failing layer stand above the message, on stderr."""
    convolution = "conv: {out_channels: 8, kernel_size: 20}"
    _, out, err = run(
        f"input: [3, 12, 12]\nlayers:\n  - {{repeat: 30, relu: }}\n  - {convolution}\n"
    )
    table, message, _ = split(err)
    names = [line.split()[0] for line in table.split("\n") if re.match(r"relu\d", line)]
    assert names == [f"relu{number}" for number in range(11, 31)]
    assert message.startswith("spec.yaml:4:5: conv1: its window of 20×20 is larger")
    assert out == ""


def test_no_rows_before_the_first_layer(run: Runner) -> None:
    _, _, err = run("input: [3, 12, 12]\nlayers:\n  - conv: {out_channels: 8, kernel_size: 20}\n")
    assert err.startswith("spec.yaml:3:5: conv1: ")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "spec.yaml:1:1: the spec is empty; it needs at least input: and layers:"),
        (b"  \n\n", "spec.yaml:1:1: the spec is empty; it needs at least input: and layers:"),
        (b"\x89PNG\r\n\x1a\n\0\0", "spec.yaml:1:1: is not UTF-8 text: byte 0x89"),
        (b"a: b\n\0", "spec.yaml:2:1: holds the control character '\\x00'"),
        (b"a: \x1b[31m", "spec.yaml:1:4: holds the control character '\\x1b'"),
        ("name: é".encode("latin-1"), "spec.yaml:1:7: is not UTF-8 text: byte 0xe9"),
        ("né: é\n# é".encode("latin-1"), "spec.yaml:1:2: is not UTF-8 text: byte 0xe9"),
        ("é: é\n#".encode() + b"\xff", "spec.yaml:2:2: is not UTF-8 text: byte 0xff"),
        (b"\xff\xfea", "spec.yaml:1:1: is not UTF-16 text"),
        (VALID.encode("utf-16-le"), "spec.yaml:1:2: holds the control character '\\x00'"),
        (VALID.encode("utf-32"), "spec.yaml:1:1: holds the control character '\\x00'"),
    ],
)
def test_no_text(data: bytes, message: str, run: Runner) -> None:
    status, out, err = run(data)
    assert (status, out) == (2, "")
    assert err.startswith(message)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(encoding: str, end: str, run: Runner) -> None:
    """All read alike, and a message counts their lines and columns alike."""
    spec = VALID.replace("relu", "{name: é, reluu: }").replace("\n", end)
    Path("valid.yaml").write_bytes(VALID.replace("\n", end).encode(encoding))
    assert cnncalc.analyze("valid.yaml").layers[0].output_shape == (3, 12, 12)
    _, _, err = run(spec.encode(encoding))
    assert err == (
        "spec.yaml:3:15: unknown layer 'reluu'; did you mean relu?\n"
        "      - {name: é, reluu: }\n"
        "                  ^\n"
    )


@pytest.fixture(autouse=True)
def _folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_column_of_wide_characters(run: Runner) -> None:
    """The caret stands under its character on a terminal, where 日 takes two cells."""
    _, _, err = run("input: [1]\nlayers: [relu, 日本: 3, reluu]\n")
    assert err.split("\n")[1:3] == ["    layers: [relu, 日本: 3, reluu]", " " * 19 + "^"]
    _, _, err = run("input: [1]\nname: 日本\nlayers: {日本: [relu], 日: 5}\n")
    assert err.split("\n")[1:3] == ["    layers: {日本: [relu], 日: 5}", " " * 12 + "^"]


def test_files_that_cannot_be_read(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    assert run(None, name="folder.yaml").err == "folder.yaml: cannot be read: Is a directory\n"
    missing = f"absent{os.sep}lenet.yaml"
    assert run(None, name=missing).err == f"{missing}: cannot be read: No such file or directory\n"
    outcome = run(None, name="lenett.yaml")
    assert outcome.status == 2
    assert outcome.err == (
        "lenett.yaml: there is no such file or bundled network; did you mean lenet?\n"
    )


def test_unreadable_file(run: Runner, tmp_path: Path) -> None:
    assert run(VALID).status == 0
    tmp_path.chmod(0o755)
    (tmp_path / "spec.yaml").chmod(0)
    refused = (2, "", "spec.yaml: cannot be read: Permission denied\n")
    as_a_user_with_limits(lambda: _equal(tuple(run(None)), refused), tmp_path)


def _equal(one: object, other: object) -> None:
    assert one == other


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no endless file here")
def test_endless_file(run: Runner) -> None:
    assert run(None, name="/dev/zero").err == "/dev/zero: is larger than 4 MiB: not a spec\n"


@pytest.mark.parametrize("output", ["absent/table.md", "."])
def test_outputs_that_cannot_be_written(output: str, run: Runner, tmp_path: Path) -> None:
    status, out, err = run(VALID, "-o", output)
    assert (status, out) == (1, "")
    assert err.startswith(f"{output}: cannot be written: ")
    assert [file.name for file in tmp_path.iterdir()] == ["spec.yaml"]


def test_a_broken_spec_leaves_the_output_as_it_was(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "table.md").write_text("as it was")
    assert run(VALID.replace("relu", "reluu"), "-o", "table.md").status == 2
    assert (tmp_path / "table.md").read_text() == "as it was"
    assert {file.name for file in tmp_path.iterdir()} == {"spec.yaml", "table.md"}


def test_half_a_character_on_the_command_line(run: Runner) -> None:
    """What a shell that is not UTF-8 hands over."""
    outcome = run(f"parameters: {{a: 1}}\n{VALID}", "--set", "a=\udcff")
    assert outcome[:2] == (2, "")
    assert outcome.err.startswith("--set a:1:1: is not UTF-8 text")


def test_an_error_knows_its_place() -> None:
    Path("spec.yaml").write_text("input: [3]\nlayers:\n  - linear: {out_featurs: 3}\n")
    with pytest.raises(SpecError) as raised:
        cnncalc.analyze("spec.yaml")
    error = raised.value
    assert (error.file, error.line, error.column) == ("spec.yaml", 3, 14)
    assert (error.path, error.message) == ("linear.out_featurs", "unknown field")
    assert error.hint == "did you mean out_features?"
    assert error.exit_status == 2


def test_an_error_in_data_has_no_place() -> None:
    with pytest.raises(SpecError) as raised:
        cnncalc.analyze({"input": [3], "layers": [{"linear": {"out_featurs": 3}}]})
    assert raised.value.place is None
    assert raised.value.line is None
    assert str(raised.value) == "linear.out_featurs: unknown field; did you mean out_features?"


def test_the_tree_of_errors_is_as_drawn() -> None:
    """The docstring of `cnncalc.errors` draws each class under its base."""

    def below(base: type[CnncalcError]) -> Iterator[str]:
        for cls in base.__subclasses__():
            yield cls.__name__
            yield from below(cls)

    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    assert drawn == [*below(CnncalcError)]
    assert {name for name in vars(errors) if name.endswith("Error")} == {"CnncalcError", *drawn}
    assert (UsageError.exit_status, OutputError.exit_status, SpecError.exit_status) == (2, 1, 2)


def test_a_message_stays_on_its_line() -> None:
    """Whatever a file holds: no control character, and no line without end."""
    place = Place("spec.yaml", 1, 2001, "\x1b[31m" + "x" * 4000)
    error = SpecError("\x1b[31mred\n" * 500, place=place, path="a.\x07" * 400, hint="end")
    message, shown, caret = str(error).split("\n")
    assert message.isprintable()
    assert message.startswith("spec.yaml:1:2001: a.\\x07a.")
    assert message.endswith("; end")
    assert len(message) < 900
    assert shown.isprintable()
    assert len(shown) <= 104
    assert len(caret) <= len(shown)


@pytest.mark.parametrize(
    "layers",
    [
        ["relu", {"inputs": ["input"], "layers": []}],
        [{"name": "a", "relu": None}, "tanh", {"inputs": ["a"], "layers": []}],
    ],
    ids=["behind the input", "behind the output"],
)
def test_what_is_worked_out_after_the_output_is_unused(layers: list[Any]) -> None:
    with pytest.raises(cnncalc.SpecError, match="nothing uses its output: a network has one"):
        cnncalc.analyze({"input": [4], "layers": layers})

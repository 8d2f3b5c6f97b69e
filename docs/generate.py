"""Writes what the docs hold that the code knows: output of commands, layers, command line.

    python docs/generate.py

Under each `$ cnncalc …` of a `console` block stands what it prints, run in a folder that holds
the `yaml` blocks above it whose first line names a file. `tests/test_docs.py` holds the docs to it.
"""

from __future__ import annotations

import inspect
import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cnncalc
from cnncalc import layers
from cnncalc.layers import FAMILIES, registry
from cnncalc.render import FORMATS
from cnncalc.render.columns import COLUMNS, PRESETS
from cnncalc.spec import bundled
from cnncalc.spec.complaints import expected
from cnncalc.spec.train_section import SECTIONS, Recipe, Section
from cnncalc.wording import either

ROOT = Path(__file__).resolve().parent.parent
WITH_COMMANDS = ("README.md", "docs/format.md", "CONTRIBUTING.md")
FACTS: dict[str, tuple[tuple[str, Callable[[], str]], ...]] = {
    "README.md": (
        (r"the (\d+) bundled networks", lambda: str(len([*bundled.entries()]))),
        (r"choose what is written \(([^)]*)\)", lambda: either(FORMATS)),
    )
}
"""What a page says in passing: where it stands, as a group, and what it ought to be."""
_DATA_ROWS = re.compile(r"(\| name \| what \| from where \|\n\|---\|---\|---\|\n)(?:\|.*\n)*")
_BLOCK = re.compile(r"^```(yaml|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def with_outputs(text: str) -> str:
    """A page with the output of its commands as it is now."""
    with tempfile.TemporaryDirectory() as folder:

        def filled(match: re.Match[str]) -> str:
            language, body = match.groups()
            if language == "yaml":
                name = re.match(r"# (\S+\.yaml)\n", body)
                if name:
                    (Path(folder) / name.group(1)).write_text(body, encoding="utf-8")
                return match.group()
            commands = [line[2:] for line in body.splitlines() if line.startswith("$ ")]
            shown = "".join(f"$ {command}\n{_run(command, folder)}" for command in commands)
            return f"```console\n{shown}```"

        return _BLOCK.sub(filled, text)


def _run(command: str, folder: str) -> str:
    program, *arguments = shlex.split(command)
    if program != "cnncalc":
        raise ValueError(f"not a command of ours: {command}")
    result = subprocess.run(
        [sys.executable, "-m", "cnncalc", *arguments],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return result.stdout + result.stderr


def with_facts(name: str, text: str) -> str:
    """A page with its facts as they are now. Raises `ValueError` if one is said nowhere."""
    for pattern, fact in FACTS.get(name, ()):
        found = re.search(pattern, text)
        if found is None:
            raise ValueError(f"{name} says nowhere {pattern!r}")
        text = text[: found.start(1)] + fact() + text[found.end(1) :]
    return text


def layers_page() -> str:
    """Every kind of layer, its fields and their defaults."""
    lines = [
        "# Layers",
        "",
        "Written by `docs/generate.py` from the layer classes. A field in **bold** may stand alone",
        "behind its kind. Shapes are of one sample, without the batch axis; where a field counts",
        "axes, the batch is 0.",
    ]
    kinds = registry()
    for family in FAMILIES:
        module = f"cnncalc.layers.{family}"
        members = {kind: cls for kind, cls in kinds.items() if cls.__module__ == module}
        purpose = (inspect.getdoc(sys.modules[module]) or "").split("\n\n")[0].replace("\n", " ")
        lines += ["", f"## {family}", "", purpose]
        lines += ["", "| kind | what it does | fields |", "|---|---|---|"]
        for kind, cls in members.items():
            schema = cls.model_json_schema()
            fields = [
                _field(name, cls.main, value, schema) for name, value in _properties(schema).items()
            ]
            purpose = " ".join((inspect.getdoc(cls) or "").split()).replace("|", "\\|")
            if cls.also_called:
                purpose += f" Also called {', '.join(cls.also_called)}."
            lines.append(f"| `{kind}` | {purpose} | {'<br>'.join(fields)} |")
    return "\n".join(lines) + "\n"


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    return schema.get("properties", {})


def _field(name: str, main: str | None, field: dict[str, Any], schema: dict[str, Any]) -> str:
    shown = f"**{name}**" if name == main else name
    takes = expected(field, schema.get("$defs")).replace("|", "\\|")
    if name in schema.get("required", ()):
        return f"{shown}: {takes}"
    default = field.get("default")
    written = default if isinstance(default, str) else json.dumps(default)
    return f"{shown} = {written}: {takes}"


def recipe_page() -> str:
    """Every field of `train:`, and its default."""
    lines = [
        "# Recipes",
        "",
        "Written by `docs/generate.py` from the fields of `train:`; what a run does with them",
        "stands in [training.md](training.md). A section may be its field in **bold** alone:",
        "`optimizer: adamw` is `optimizer: {name: adamw}`. Any value may be an expression. On the",
        "command line a field is `--set train.optimizer.lr=0.1`, a section",
        "`--set train.schedule=cosine`; some have an option of their own.",
        "",
        *_recipe_table(Recipe, None),
    ]
    for name, cls in SECTIONS.items():
        purpose = inspect.getdoc(cls) or ""
        lines += ["", f"## {name}", "", purpose, "", *_recipe_table(cls, cls.main)]
        rules = [f"`{choice}` needs `{field}`." for choice, field in cls.needs.items()]
        lines += ["", " ".join(rules)] if rules else []
    return "\n".join(lines) + "\n"


def _recipe_table(cls: type[Section], main: str | None) -> list[str]:
    schema = cls.model_json_schema()
    rows = ["| field | takes | default | what it is |", "|---|---|---|---|"]
    for name, field in _properties(schema).items():
        if cls is Recipe and name in SECTIONS:
            continue
        shown = f"**`{name}`**" if name == main else f"`{name}`"
        default = field.get("default")
        written = default if isinstance(default, str) else json.dumps(default)
        purpose = cls.model_fields[name].description
        rows.append(f"| {shown} | {expected(field)} | {written} | {purpose} |")
    return rows


def data_page() -> str:
    """docs/data.md, with a row for each data set that has a name."""
    from cnncalc.training.data.loading import DATA_SETS

    rows = [f"| `{each.name}` | {each.about} | {each.origin} |" for each in DATA_SETS.values()]
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    return _DATA_ROWS.sub(lambda head: head[1] + "".join(f"{row}\n" for row in rows), page, count=1)


def cli_page() -> str:
    """The help of every command, 80 columns wide, and the columns of tables."""
    import typer.testing

    from cnncalc.cli import app
    from cnncalc.cli.commands import FUNCTIONS

    runner = typer.testing.CliRunner(env={"COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"})
    lines = ["# Commands", "", "Written by `docs/generate.py` from the commands' own help."]
    for name in (None, *FUNCTIONS):
        arguments = [name] if name else []
        help_text = runner.invoke(app, [*arguments, "--help"], prog_name="cnncalc").output
        title = f"cnncalc {name}" if name else "cnncalc"
        body = "\n".join(line.rstrip() for line in help_text.strip().splitlines())
        lines += ["", f"## {title}", "", "```text", body.strip(), "```"]
    return "\n".join([*lines, *_columns()]) + "\n"


def _columns() -> list[str]:
    """Each column with the cells of a row, as people and as programs read them."""
    summary = cnncalc.analyze("lenet")
    row = summary.layers[0]
    lines = [
        "",
        "## Columns",
        "",
        "What `--columns` of `cnncalc summarize` takes, and the first row of `lenet`:",
        "",
        "| column | title | in tables | in CSV |",
        "|---|---|---|---|",
    ]
    for column in COLUMNS:
        cells = (column.title, column.cell(row, summary), str(column.exact(row, summary)))
        lines.append(f"| `{column.name}` | {' | '.join(cells)} |")
    presets = [f"`{name}` is {', '.join(names)}" for name, names in PRESETS.items()]
    return [*lines, "", "Several under one name:", "", *(f"- {preset}." for preset in presets)]


def public_names() -> dict[str, tuple[str, str]]:
    """Signature and purpose of each public name, `cnncalc:load`, and of what each class has."""
    names = {
        f"{module.__name__}:{name}": getattr(module, name)
        for module, names in ((cnncalc, dir(cnncalc)), (layers, layers.__all__))
        for name in names
        if not name.startswith("_")
    }
    classes = {value for value in names.values() if inspect.isclass(value)}
    found = {}
    for name, value in names.items():
        found[name] = _signature(value), _purpose(value)
        if value in classes:
            members = _members(value, classes - {value})
            found |= {f"{name}.{member}": text for member, text in members.items()}
    return found


def _members(cls: type, others: set[type]) -> dict[str, tuple[str, str]]:
    """What a class of ours has beside what Python, Pydantic or another public class gives it."""
    first = next(
        index for index, base in enumerate([*cls.__mro__, object]) if base in {*others, object}
    )
    own = [base for base in cls.__mro__[:first] if base.__module__.startswith("cnncalc.")]
    names = {name for base in own for name in (*vars(base), *vars(base).get("__annotations__", ()))}
    members = {}
    for name in sorted(names):
        if not name.startswith(("_", "model_")):
            value = inspect.getattr_static(cls, name, None)
            value = getattr(value, "__func__", value)  # of a class method
            members[name] = _signature(value), _purpose(value)
    return members


class _Written(str):
    """An annotation as it is written."""

    __repr__ = str.__str__


def _signature(value: Any) -> str:
    """`(source, *, variant=None)` of what is called; of a class, its base if that is public."""
    if inspect.isclass(value):
        base = value.__mro__[1]
        public = base.__name__ in {*dir(cnncalc), *layers.__all__}
        return f"({base.__name__})" if public else ""
    if not inspect.isfunction(value):
        return ""
    whole = inspect.signature(value)
    parameters = [
        each.replace(annotation=_Written(each.annotation))
        for name, each in whole.parameters.items()
        if name not in ("self", "cls")
    ]
    returned = _Written(whole.return_annotation)
    return str(whole.replace(parameters=parameters, return_annotation=returned))


def _purpose(value: Any) -> str:
    """The first paragraph of its docstring, if it has one of its own."""
    if not (inspect.isclass(value) or inspect.isfunction(value) or isinstance(value, property)):
        return ""
    return (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ")


def api_page() -> str:
    """Every public name."""
    lines = [
        "# Python",
        "",
        "Written by `docs/generate.py` from the code. These names and what they take stay as they",
        "are; where one must change, [the changelog](../CHANGELOG.md) says so.",
    ]
    for name, (signature, purpose) in public_names().items():
        module, _, path = name.partition(":")
        if f"## {module}" not in lines:
            lines += ["", f"## {module}", ""]
        *_, last = path.split(".")
        said = f": {purpose}" if purpose else ""
        lines.append(f"{'  ' * path.count('.')}- `{last}{signature}`{said}")
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Each page that this writes, as it ought to be."""
    made = {
        name: with_outputs(with_facts(name, (ROOT / name).read_text(encoding="utf-8")))
        for name in WITH_COMMANDS
    }
    written = {
        "docs/layers.md": layers_page(),
        "docs/recipes.md": recipe_page(),
        "docs/cli.md": cli_page(),
        "docs/data.md": data_page(),
        "docs/api.md": api_page(),
    }
    return made | written


if __name__ == "__main__":
    for name, text in pages().items():
        (ROOT / name).write_text(text, encoding="utf-8")

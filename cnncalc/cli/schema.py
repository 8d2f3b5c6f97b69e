"""`cnncalc schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncalc.cli.output import write


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file.")
    ] = None,
) -> None:
    """Print the JSON Schema of a spec, for editors.

    \b
    Examples:
      cnncalc schema -o cnncalc.schema.json
    """  # noqa: D301 - \b keeps typer from filling the lines
    import json

    from cnncalc.spec.json_schema import json_schema

    write(json.dumps(json_schema(), ensure_ascii=False, indent=2) + "\n", output)

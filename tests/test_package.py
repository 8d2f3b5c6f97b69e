"""The names of the package mean the same whatever was imported first."""

from __future__ import annotations

import subprocess
import sys

import pytest

FIRST = {
    "nothing": "",
    "a printed summary": "str(cnncalc.analyze('mlp1'))",
    "the command line": "import cnncalc.cli.summarize",
    "the columns": "import cnncalc.render.columns",
    "the name itself": "cnncalc.render",
}


@pytest.mark.parametrize("first", FIRST)
def test_render_is_a_function_whatever_came_first(first: str) -> None:
    script = f"""
import cnncalc
{FIRST[first]}
text = cnncalc.render(cnncalc.analyze("mlp1"), format="csv", columns="name,parameters")
from cnncalc import render
assert text == render(cnncalc.analyze("mlp1"), "csv", columns="name,parameters")
print(text)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, check=False, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-3:] == ["linear1,30730", "total,30730", ""]

"""Summary -> text: one function a format, all over one list of columns.

A format is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from cnncalc.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnncalc.analysis.summary import Summary

FORMATS = {
    "table": ".txt",
    "markdown": ".md",
    "csv": ".csv",
    "json": ".json",
    "latex": ".tex",
    "html": ".html",
}
"""Each format, a module of this package, and the ending of its files."""


def render(
    summary: Summary,
    format: str = "table",  # noqa: A002 - the option's own word
    *,
    columns: str | Iterable[str] | None = None,
    formulas: bool = False,
    width: int | None = None,
    color: bool = False,
) -> str:
    """The summary as text. `width` (characters) and `color` concern the terminal table alone.

    Raises:
        UsageError: there is no such format or column.
    """
    if format not in FORMATS:
        hint = did_you_mean(format, FORMATS)
        raise UsageError(f"unknown format {format!r}; {hint}")
    module = import_module(f"{__name__}.{format}")
    if format == "table":
        text: str = module.render(summary, columns, formulas=formulas, width=width, color=color)
    else:
        text = module.render(summary, columns, formulas=formulas)
    return text

"""What YAML's complaints mean to a reader: where to look, and what to do there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cnncalc.errors import Mark
from cnncalc.expressions import QUOTE_HINT

if TYPE_CHECKING:
    import yaml


_CLOSING = {"{": "}", "[": "]"}
_NO_SPACE = re.compile(r"^[\s-]*[\w.]+(?=:[^\s:])")
"""A line that begins with a key whose colon has no space after it."""


def explained(text: str, error: yaml.YAMLError) -> tuple[str, Mark, str]:
    """Message, place and hint for what PyYAML says of a text, by libyaml or by itself."""
    reason = getattr(error, "reason", None)
    if reason is not None:  # the reader's: a character, before there are lines
        return f"is not YAML: {reason}", (0, 0), ""
    problem = getattr(error, "problem", None) or str(error)
    doing = getattr(error, "context", None) or ""
    mark = _position(getattr(error, "problem_mark", None))
    context = _position(getattr(error, "context_mark", None))
    return _explain(problem, doing, text.splitlines(), mark or context or (0, 0), context)


def _explain(
    problem: str, doing: str, lines: list[str], mark: Mark, context: Mark | None
) -> tuple[str, Mark, str]:
    """Message, place and hint; what libyaml and PyYAML word differently is matched by both."""
    before, char = _around(lines, mark)
    if "cannot start any token" in problem:
        if char == "\t":
            return "a tab where spaces should stand", mark, "indent with spaces, not tabs"
        return f"no text may begin with {char}", mark, "put it in quotes"
    if "mapping values are not allowed" in problem:
        return _stray_colon(lines, mark)
    if "expected ',' or" in problem and context is not None:
        return _unclosed(lines, mark, context)
    if "escape" in problem:
        return "\\ begins an escape in double quotes", mark, "use single quotes, or write \\\\"
    if "end of stream" in problem and context is not None:
        return "the quote is not closed", context, "end the text with the quote it begins with"
    if "find expected ':'" in problem and context is not None:
        return "is neither `key: value` nor `- item`", context, "is a - or a colon missing?"
    if "<document start>" in problem:
        return "text after the end of the document", mark, "a file holds one network"
    if "expected" in problem:
        if char and char in "]}":
            return f"this {char} closes nothing", mark, "remove it, or open its bracket"
        if before.strip():
            return "does not belong here", mark, "is a quote or a bracket closed too early?"
        if "block collection" in doing and char != "-":
            hint = "write - before it, or indent it more"
            return "an item of this list begins with -", mark, hint
        hint = "what belongs together begins in the same column"
        return "the indentation does not match the lines above", mark, hint
    return f"is not YAML: {problem}", mark, ""


def _stray_colon(lines: list[str], mark: Mark) -> tuple[str, Mark, str]:
    """A colon that ends no key: of this line, or of the line above that should have been a key."""
    before, _ = _around(lines, mark)
    above = next((n for n in range(mark[0] - 1, -1, -1) if lines[n].strip()), mark[0])
    for number, text in ((mark[0], before), (above, lines[above])):
        if match := _NO_SPACE.match(text):
            return "a colon needs a space after it", (number, match.end()), "write `key: value`"
    if re.search(r":\s", before):
        item = re.match(r"\s*- (\w+): (\w+)", before)
        hint = (
            f"write {item[1]}: {{{item[2]}: …}}"
            if item
            else "put text that holds a colon in quotes"
        )
        return 'a second ": " in one value', mark, hint
    column = len(lines[above]) - len(lines[above].lstrip())
    return "is not `key: value`", (above, column), "a key is followed by a colon and a space"


def _unclosed(lines: list[str], mark: Mark, opening: Mark) -> tuple[str, Mark, str]:
    """Within brackets: a cut expression, a bracket that is never closed, or a missing comma."""
    before, char = _around(lines, mark)
    bracket = _around(lines, opening)[1]
    closing = _CLOSING.get(bracket, "bracket")
    if char and char in "[{" and re.search(r"=[^,\"']*$", before):
        return f"an expression is cut at {char}", mark, QUOTE_HINT
    first = lines[opening[0]]
    indent = len(first) - len(first.lstrip())
    outside = mark[0] > opening[0] and (
        mark[0] >= len(lines) or len(before) - len(before.lstrip()) <= indent
    )
    if outside:
        return f"this {bracket} is not closed", opening, f"write {closing} where it ends"
    return f"a comma or {closing} is missing before this", mark, ""


def _position(mark: Any) -> Mark | None:
    return (mark.line, mark.column) if mark is not None else None


def _around(lines: list[str], mark: Mark) -> tuple[str, str]:
    """The text of a line before a mark, and the character at it; empty past the end."""
    line = lines[mark[0]] if mark[0] < len(lines) else ""
    return line[: mark[1]], line[mark[1] : mark[1] + 1]

"""The table of a terminal. Columns are chosen to fit its width; elsewhere nothing is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnncalc.render.cells import Cells, notes, tabulate
from cnncalc.render.columns import NARROWER, NARROWER_FORMULAS, choose
from cnncalc.render.layout import Track, draw, fill, natural_width

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cnncalc.analysis import Summary

BAR_WIDTH = 8

_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def render(
    summary: Summary,
    columns: str | Iterable[str] | None = None,
    *,
    formulas: bool = False,
    width: int | None = None,
    color: bool = False,
) -> str:
    """The table as text; without `width` nothing is left out, wrapped or cut."""

    def styled(code: str, text: str) -> str:
        return f"{code}{text}{_PLAIN}" if color and text else text

    def paragraph(code: str, text: str) -> Iterator[str]:
        lines = fill(text, width) if width else [text]
        return (styled(code, line) for line in lines)

    cells = tabulate(summary, choose(columns, formulas=formulas))
    tracks = _tracks(cells)
    explained = cells.notes
    if width is not None and columns is None:
        tracks = _fitting(tracks, width, NARROWER_FORMULAS if formulas else NARROWER)
        explained = notes(summary, [column for column in cells.columns if column.name in tracks])
    table = draw(
        [*tracks.values()],
        width,
        strong=lambda line: styled(_BOLD, line),
        total=cells.total is not None,
    )
    lines = [*paragraph(_BOLD, cells.title), "", *table, ""]
    for note in explained:
        lines += paragraph(_DIM, note)
    return "\n".join(lines) + "\n"


def rows_only(summary: Summary, columns: str, width: int | None) -> str:
    """The rows without totals, title and notes: what precedes an error."""
    tracks = _tracks(tabulate(summary, choose(columns)))
    return "\n".join(draw([*tracks.values()], width, total=False)) + "\n"


def bar(length: float) -> str:
    """A part of 1 as a bar, in eighths of a character."""
    full, rest = divmod(round(length * BAR_WIDTH * 8), 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def _tracks(cells: Cells) -> dict[str, Track]:
    """The columns to lay out, by name."""
    total = cells.total or [""] * len(cells.columns)
    texts = [*zip(*cells.rows, strict=True)] or [()] * len(cells.columns)
    tracks = {}
    for column, column_cells, last in zip(cells.columns, texts, total, strict=True):
        if column.name == "share":
            room = max(map(len, (*column_cells, last)))
            shares = (
                f"{share:>{room}} {bar(length)}".rstrip()
                for share, length in zip(column_cells, cells.bars, strict=True)
            )
            track = Track(column.title, [*shares], f"{last:>{room}}")
        else:
            worked = column.formula_of is not None
            track = Track(column.title, column_cells, last, column.numeric, worked)
        tracks[column.name] = track
    return tracks


def _fitting(
    tracks: dict[str, Track], width: int, narrower: Sequence[Sequence[str]]
) -> dict[str, Track]:
    """The default columns, without those for which the terminal is too narrow."""
    if natural_width([*tracks.values()]) <= width:
        return tracks
    tracks = {name: track.with_short_title() for name, track in tracks.items()}
    chosen = tracks
    for dropped in ((), *narrower):
        chosen = {name: track for name, track in tracks.items() if name not in dropped}
        if natural_width([*chosen.values()]) <= width:
            break
    return chosen

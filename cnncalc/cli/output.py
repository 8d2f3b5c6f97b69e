"""Where output goes: data to stdout or a file, everything else to stderr."""

from __future__ import annotations

import codecs
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cnncalc.atomic_files import draft_of
from cnncalc.errors import OutputError
from cnncalc.wording import lines, printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_PLAIN = {
    **dict(zip("×·−–─→…", ("x", "*", "-", "-", "-", "->", "..."), strict=True)),
    **dict(zip("⌊⌋⌈⌉", ("floor[", "]", "ceil[", "]"), strict=True)),
    **dict.fromkeys("█▉▊▋▌", "#"),
    **dict.fromkeys("▍▎▏", " "),
}


def prepare_streams() -> None:
    """Makes any locale do: what is redirected is UTF-8, a terminal shows what it can."""
    codecs.register_error("cnncalc", _spell_out)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is None:
            continue
        if stream.isatty():
            reconfigure(errors="cnncalc")
        else:
            reconfigure(encoding="utf-8", errors="backslashreplace")


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    """What a terminal without Unicode shows: `32*(5^2*1 + 1)`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    spelled, before = "", ""
    for char in error.object[error.start : error.end]:
        if char in _SUPERSCRIPTS:
            spelled += ("" if before in _SUPERSCRIPTS and before else "^") + str(
                _SUPERSCRIPTS.index(char)
            )
        else:
            spelled += _PLAIN.get(char, "?")
        before = char
    return spelled, error.end


def terminal_width(stream: TextIO | None) -> int | None:
    """Characters on a line of the terminal that `stream` writes to; None if it is redirected."""
    if stream is None or not stream.isatty():
        return None
    return shutil.get_terminal_size().columns


def has_color(stream: TextIO | None) -> bool:
    """Whether `stream` writes to a terminal that wants colours. https://no-color.org."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream is not None and stream.isatty() and not plain


def is_stdout(path: Path | None) -> bool:
    """Whether the value of `--output` stands for standard output."""
    return path is None or str(path) == "-"


def check_folder(path: Path | None) -> None:
    """Fails before what takes long where `write` would fail after it for want of a folder.

    Raises:
        OutputError: the folder of the file is not there.
    """
    if path is not None and not is_stdout(path) and not path.parent.is_dir():
        raise OutputError(f"{path}: cannot be written: there is no folder {path.parent}")


def write(text: str, path: Path | None = None) -> None:
    """Writes `text` to stdout, or to a file that is complete or not there at all.

    Raises:
        OutputError: it cannot be written.
        SystemExit: the reader of stdout has gone, which is no error.
    """
    if path is None or is_stdout(path):
        _print(text)
        return
    with draft_of(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")


def write_table(table: Callable[..., str], of: object) -> None:
    """Writes `table(of, …)` as wide as the terminal, and coloured if that wants it. As `write`."""
    write(table(of, width=terminal_width(sys.stdout), color=has_color(sys.stdout)))


def say(line: str) -> None:
    """A line on stdout, which may name files. As `write`."""
    write(f"{printable(line)}\n")


def warn(text: str) -> None:
    """Lines on stderr."""
    if sys.stderr is not None:
        sys.stderr.write(f"{lines(text)}\n")
        sys.stderr.flush()


def _print(text: str) -> None:
    if sys.stdout is None:
        raise OutputError("standard output is closed")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # Flushing at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise SystemExit(0) from None
        raise OutputError(f"standard output: {error.strerror or error}") from None

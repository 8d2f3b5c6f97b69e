"""What a user may not do: root may do anything, and drops its rights to find out."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOBODY = 65534


def as_a_user_with_limits(check: Callable[[], None], folder: Path) -> None:
    """Runs a check in `folder` as an ordinary user; for root, as another one in a child process.

    The check names files relative to `folder`, for what lies above may be root's alone, and has
    what it imports imported before. What it asserts fails here, with its traceback.
    """
    before = os.getcwd()  # noqa: PTH109
    os.chdir(folder)
    try:
        if os.geteuid() == 0:
            _in_a_child(check)
        else:
            check()
    finally:
        os.chdir(before)


def _in_a_child(check: Callable[[], None]) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _drop_and_run(check, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, said


def _drop_and_run(check: Callable[[], None], writing: int) -> None:
    status = 1
    try:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        check()
        status = 0
    except BaseException:  # noqa: BLE001 - of pytest's `fail` and `exit` as well
        os.write(writing, traceback.format_exc().encode(errors="backslashreplace")[-60_000:])
    finally:
        os._exit(status)

"""Where the tests find files of the project, and their own."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
SPECS = TESTS / "architectures" / "specs"
GOLDENS = TESTS / "goldens"

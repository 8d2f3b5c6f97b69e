"""The public names and what they take: frozen, so that a change is meant and is told to users."""

from __future__ import annotations

import pytest
from support.places import ROOT, TESTS
from test_docs import generate

LIST = TESTS / "reference" / "public_names.txt"


def changes(stored: list[str], present: list[str]) -> list[str]:
    """What differs, in words."""
    before = {line.partition("(")[0]: line for line in stored}
    after = {line.partition("(")[0]: line for line in present}
    said = [f"{name} is gone" for name in before if name not in after]
    said += [f"{name} is new" for name in after if name not in before]
    return said + [
        f"{before[name]} became {line}"
        for name, line in after.items()
        if before.get(name, line) != line
    ]


def test_public_names_are_those_that_are_written_down(request: pytest.FixtureRequest) -> None:
    pytest.importorskip("torch", reason="some of them need PyTorch")
    present = [f"{name}{signature}" for name, (signature, _) in generate.public_names().items()]
    if request.config.getoption("--update-goldens"):
        LIST.write_text("".join(f"{line}\n" for line in present), encoding="utf-8")
    found = changes(LIST.read_text(encoding="utf-8").splitlines(), present)
    advice = "tell users in CHANGELOG.md, then run scripts/docs and scripts/goldens"
    assert not found, f"{'; '.join(found)}: {advice}"


def test_a_change_is_told() -> None:
    stored = ["cnncalc:load(spec) -> A", "cnncalc:gone", "cnncalc:A.name"]
    present = ["cnncalc:load(spec, *, new=1) -> A", "cnncalc:A.name", "cnncalc:A.new() -> int"]
    assert changes(stored, present) == [
        "cnncalc:gone is gone",
        "cnncalc:A.new is new",
        "cnncalc:load(spec) -> A became cnncalc:load(spec, *, new=1) -> A",
    ]
    assert changes(stored, stored) == []


def test_the_page_lists_them() -> None:
    pytest.importorskip("torch", reason="some of them need PyTorch")
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert page == generate.api_page(), "docs/api.md is not what the code says: run scripts/docs"


def test_every_name_of_the_package_is_explained() -> None:
    pytest.importorskip("torch", reason="some of them need PyTorch")
    called = {name: text for name, text in generate.public_names().items() if text[0]}
    assert [name for name, (_, purpose) in called.items() if not purpose] == []

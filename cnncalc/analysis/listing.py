"""The bundled networks with their summaries: those that are searched for, in an order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.analysis.figures import FIGURES
from cnncalc.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cnncalc.analysis.summary import Summary


class Network(NamedTuple):
    """A bundled network, or one variant of a family: that of the file's name."""

    name: str
    family: str
    summary: Summary


def _total(name: str) -> Callable[[Network], int]:
    return lambda network: network.summary.totals.figures[name]


SORTS: dict[str, Callable[[Network], Any]] = {
    "name": lambda network: network.name,
    **{name.replace("_", "-"): _total(name) for name in FIGURES},
    "receptive-field": lambda network: [
        size or 0 for size in network.summary.totals.receptive_field.size
    ],
    "input": lambda network: network.summary.input_shape,
}
"""What a list may be sorted by, the smallest first."""


def listing(text: str = "", sort: str | None = None) -> list[Network]:
    """The networks whose name, family or source holds `text`: by family, or in the order `sort`.

    Raises:
        UsageError: there are none, or no such order.
    """
    if sort is not None and sort not in SORTS:
        raise UsageError(f"cannot sort by {sort!r}; {did_you_mean(sort, SORTS)}")
    found = [*_networks(text)]
    if not found:
        from cnncalc.spec import bundled

        raise UsageError(f"no bundled network matches {text!r}; {bundled.suggestion(text)}")
    return sorted(found, key=SORTS[sort]) if sort else found


def _networks(text: str) -> Iterator[Network]:
    # Late: the help of `--sort` reads SORTS.
    from cnncalc.analysis.analyze import analyze
    from cnncalc.spec import bundled
    from cnncalc.spec.loading import load

    text = text.casefold()
    for file in bundled.files():
        network = load(file)
        whole = text in f"{file.stem}\n{network.name}\n{network.source}".casefold()
        for variant in network.variants or (None,):
            if whole or text in (variant or "").casefold():
                summary = analyze(network.configured(variant=variant))
                yield Network(variant or file.stem, file.stem, summary)

"""Runs, evaluations and predictions, as tables and as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.text import Text

from cnncalc.render.figures import group
from cnncalc.render.json import SCHEMA_VERSION
from cnncalc.render.layout import fits, laid_out, printed, title_lines
from cnncalc.wording import json_lines, printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from rich.console import RenderableType
    from rich.table import Table

    from cnncalc.runs.records import Record
    from cnncalc.training.reports.evaluate import Evaluation
    from cnncalc.training.reports.predict import Predictions

MOST_COLUMNS = 50
"""Classes up to which the confusion matrix is printed in full."""
NUMBERS = ("epochs", "steps", "val accuracy", "test accuracy", "best val loss", "seconds")
NARROWER = ("seconds", "network", "steps", "best val loss")
"""Columns of the list of runs that a narrow terminal does without, the first of them first."""


def runs_table(records: Sequence[Record], *, width: int | None = None, color: bool = False) -> str:
    """A row a run; what is wrong with damaged ones stands in the column of states."""
    rows = [
        [
            printable(record.path.name or str(record.path)),
            printable(record.network or "–"),
            *("–" if count is None else group(count) for count in (record.epoch, record.step)),
            *(percent(share) for share in (record.val_accuracy, record.test_accuracy)),
            _number(record.best_val_loss, 4),
            _number(record.seconds, 1),
            printable(f"{record.state}: {record.problem}" if record.problem else record.state),
        ]
        for record in records
    ]
    titles = ["run", "network", *NUMBERS, "state"]
    for name in NARROWER:
        if fits([*title_lines(titles, NUMBERS), *rows], width):
            break
        place = titles.index(name)
        titles, *rows = ([*row[:place], *row[place + 1 :]] for row in (titles, *rows))
    return printed([_table(titles, rows, NUMBERS, width)], width=width, color=color)


def runs_json(records: Iterable[Record]) -> str:
    runs = [
        {
            "run": str(record.path),
            "state": record.state,
            **{
                name: _finite(getattr(record, name))
                for name in (
                    "network",
                    "epoch",
                    "step",
                    "val_accuracy",
                    "test_accuracy",
                    "best_val_loss",
                    "seconds",
                )
            },
            "problem": record.problem or None,
        }
        for record in records
    ]
    return _dump({"runs": runs})


def predictions_table(
    predictions: Predictions, *, width: int | None = None, color: bool = False
) -> str:
    """A row a label; the image is named in its first."""
    rows = [
        [printable(image) if rank == 0 else "", printable(guess.label), percent(guess.probability)]
        for image, guesses in predictions.images
        for rank, guess in enumerate(guesses)
    ]
    table = _table(["image", "label", "probability"], rows, ("probability",), width)
    return printed([table], width=width, color=color)


def predictions_json(predictions: Predictions) -> str:
    found = [
        {
            "image": image,
            "labels": [{"label": label, "probability": _finite(share)} for label, share in guesses],
        }
        for image, guesses in predictions.images
    ]
    p = predictions
    return _dump({"run": str(p.run), "weights": p.weights, "step": p.step, "predictions": found})


def evaluation_table(
    evaluation: Evaluation, *, width: int | None = None, color: bool = False
) -> str:
    """The figures, then a row a class: its accuracy and what its images were taken for."""
    e = evaluation
    title = f"{e.run.name}: {e.network} on {e.data}, {e.split}; {e.weights} weights, step"
    figures = {
        "images": group(e.samples),
        "loss": _number(e.loss, 4),
        "top-1": percent(e.accuracy),
        "top-5": percent(e.top5_accuracy),
    }
    lines = "\n".join(f"{name:<7}{value:>9}" for name, value in figures.items())
    parts: list[RenderableType] = [
        Text(f"{printable(title)} {group(e.step)}", style="bold"),
        Text(f"\n{lines}\n"),
        _by_class(e, width),
    ]
    return printed(parts, width=width, color=color)


def evaluation_json(evaluation: Evaluation) -> str:
    e = evaluation
    classes = [
        {"name": name, "samples": samples, "accuracy": accuracy}
        for name, samples, accuracy in zip(
            e.classes, e.class_samples, e.class_accuracies, strict=True
        )
    ]
    return _dump(
        {
            "run": str(e.run),
            "network": e.network,
            "data": e.data,
            "split": e.split,
            "weights": e.weights,
            "step": e.step,
            "samples": e.samples,
            "loss": _finite(e.loss),
            "accuracy": e.accuracy,
            "top5_accuracy": e.top5_accuracy,
            "classes": classes,
            "confusion": e.confusion,
        }
    )


def percent(share: float | None) -> str:
    """`98.33%`; a dash where there is none."""
    return "–" if share is None else f"{share:.2%}"


def _by_class(evaluation: Evaluation, width: int | None) -> Table:
    """With the confusion matrix, its columns named or numbered, if there is room for it."""
    e = evaluation
    names = [printable(name) for name in e.classes]
    counted = list(map(group, e.class_samples))
    rows = [
        [name, count, percent(share)]
        for name, count, share in zip(names, counted, e.class_accuracies, strict=True)
    ]
    titles, right = ["class", "images", "top-1"], ["images", "top-1"]
    if len(names) <= MOST_COLUMNS:
        matrix = [[group(count) if count else "·" for count in row] for row in e.confusion]
        full = [[*row, *counts] for row, counts in zip(rows, matrix, strict=True)]
        if fits([[*titles, *names], *full], width):
            return _table([*titles, *names], full, [*right, *names], width)
        numbers = [f"{place}" for place in range(len(names))]
        full = [[number, *row] for number, row in zip(numbers, full, strict=True)]
        if fits([["", *titles, *numbers], *full], width):
            return _table(["", *titles, *numbers], full, [*right, *numbers], width)
    taken = [_taken_for(place, counts, names) for place, counts in enumerate(e.confusion)]
    rows = [[*row, other] for row, other in zip(rows, taken, strict=True)]
    return _table([*titles, "most often taken for"], rows, right, width)


def _taken_for(place: int, counts: Sequence[int], names: Sequence[str]) -> str:
    """The wrong class that the images of a class were most often put in."""
    wrong = [(count, -other) for other, count in enumerate(counts) if other != place and count]
    if not wrong:
        return ""
    count, other = max(wrong)
    return f"{names[-other]} ({group(count)})"


def _table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str], width: int | None
) -> Table:
    return laid_out(titles, rows, right=right, width=width, breaks_titles=True)


def _number(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:,.{places}f}"


def _finite(value: Any) -> Any:
    """What JSON can hold: no infinity, and nothing that is no number."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _dump(data: dict[str, Any]) -> str:
    """An object, an item of its lists a line."""
    listed = [key for key, value in data.items() if isinstance(value, list | tuple)]
    return json_lines({"schema_version": SCHEMA_VERSION, **data}, listed)

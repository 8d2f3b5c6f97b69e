"""`train:` of a spec, and settings on top of it -> `Recipe`: places, expressions, what belongs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnncalc.errors import ExpressionError, FieldError, shorten
from cnncalc.spec.complaints import check_brackets, unknown_key, validated
from cnncalc.spec.expressions import worked_out
from cnncalc.spec.text import fields_at, overlaid, place_of
from cnncalc.spec.train_section import SECTIONS, OptimizerRecipe, Recipe, Section
from cnncalc.spec.yaml import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

RIVALS = {"epochs": "steps", "steps": "epochs"}
"""Of each two, one replaces the other."""
OTHER_NAMES = {
    **dict.fromkeys(("learning_rate", "max_lr", "base_lr"), "lr"),
    **dict.fromkeys(("scheduler", "lr_scheduler", "lr_schedule"), "schedule"),
    **dict.fromkeys(("max_epochs", "num_epochs", "n_epochs"), "epochs"),
    **dict.fromkeys(("max_steps", "num_steps", "iterations"), "steps"),
    **dict.fromkeys(("grad_clip", "clip_grad_norm", "gradient_clip_val", "max_norm"), "clip"),
    **dict.fromkeys(("accumulate_grad_batches", "gradient_accumulation_steps"), "accumulate"),
    **dict.fromkeys(("hflip", "horizontal_flip", "random_horizontal_flip"), "flip"),
    **dict.fromkeys(("padding", "random_crop"), "crop"),
    **dict.fromkeys(("warmup_epochs", "warm_up"), "warmup"),
    "amp": "precision",
    "criterion": "loss",
    "dataset": "data",
    "early_stopping": "patience",
    "ema_decay": "ema",
    "gamma": "factor",
    "milestones": "at",
    "pct_start": "rise",
    "step_size": "every",
    "transforms": "augment",
}
"""What other libraries call a field."""
OTHER_DTYPES = {"bf16": "bfloat16", "fp16": "float16", "half": "float16", "fp32": "float32"}
NO_FIELDS = {
    "device": "it is an option: --device cuda",
    "output": "it is an option: --output DIR",
    "train": "settings are named without it: epochs, optimizer.lr",
    "workers": "as many as the machine has cores: leave it out",
    "num_workers": "as many as the machine has cores: leave it out",
}


def parse_recipe(fields: Mapping[str, Any], parameters: Mapping[str, Any]) -> Recipe:
    """The recipe that `train:` describes, its expressions worked out.

    Raises:
        SpecError: a field is unknown or ill-typed, or does not belong to what was chosen.
    """
    check_brackets(fields, "train")
    _check_keys(fields, Recipe, "train")
    others = {name: value for name, value in fields.items() if name not in SECTIONS}
    values = _values(others, parameters, "train", fields)
    for name, cls in SECTIONS.items():
        if name in fields:
            values[name] = _section(name, cls, fields, parameters)
    other = OTHER_DTYPES.get(str(values.get("precision")).lower())
    examples = {"precision": f"did you mean {other}?"} if other else {}
    recipe = validated(Recipe, values, path="train", raw=fields, examples=examples)
    recipe._fields = fields
    _check_together(recipe, fields)
    return recipe


def with_settings(fields: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `train:` with others on top: `{"optimizer.lr": 0.1, "schedule": "cosine"}`.

    A section is replaced whole, a field of it by its path. Steps take the place of epochs, and
    epochs of steps.
    """
    result = fields if isinstance(fields, dict) else {**fields}
    for path, value in settings.items():
        result = _set(result, path.split("."), plain(value))
        rival = RIVALS.get(path)
        if rival is not None and rival not in settings and value is not None:
            result.pop(rival, None)
    if settings.get("data.name", _data_of(fields)) != _data_of(fields) and (
        "data.dir" not in settings and isinstance(result.get("data"), dict)
    ):
        result = _set(result, ["data", "dir"], None)  # it was the other data set's
    return result


def _data_of(fields: Mapping[str, Any]) -> Any:
    data = fields.get("data")
    return data.get("name") if isinstance(data, dict) else data


def merged_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with others on top; what those replace is gone."""
    rivals = {RIVALS.get(path) for path in new}
    kept = {
        path: value
        for path, value in old.items()
        if path not in rivals and not any(path.startswith(f"{other}.") for other in new)
    }
    return kept | {**new}


def _set(fields: Mapping[str, Any], keys: list[str], value: Any) -> dict[str, Any]:
    """A copy of `fields` with a value at a path of keys."""
    key, *inner = keys
    if not inner:
        return overlaid(fields, key, value)
    within = fields.get(key)
    if key in SECTIONS and within is not None:
        within = _spelled_out(fields, key)
    within = within if isinstance(within, dict) else {}
    return overlaid(fields, key, _set(within, inner, value), inside=True)


def _spelled_out(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A section as a mapping, where it may be the shorthand for its main field."""
    value = fields[name]
    if isinstance(value, dict):
        return value
    main = SECTIONS[name].main
    section = fields_at(fields, name, main)
    section[main] = value
    return section


def _section(
    name: str, cls: type[Section], recipe: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Section:
    value, path = recipe[name], f"train.{name}"
    is_field = isinstance(value, str) and value in cls.model_fields
    if value is None or isinstance(value, list) or is_field:
        raise FieldError(
            f"must be {cls.main} or a mapping; received {shorten(value)}",
            place=place_of(recipe, name),
            path=path,
            hint=f"write {name}: {{{value if is_field else cls.main}: …}}",
        )
    fields = _spelled_out(recipe, name)
    check_brackets(fields, path)
    _check_keys(fields, cls, path)
    section = validated(cls, _values(fields, parameters, path, fields), path=path, raw=fields)
    _check_choice(section, fields, path)
    return section


def _values(
    fields: Mapping[str, Any], parameters: Mapping[str, Any], path: str, raw: Mapping[str, Any]
) -> dict[str, Any]:
    """The fields with their expressions worked out, lists as tuples; `raw` knows their places."""
    values: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            check_brackets(value, f"{path}.{name}")
            values[name] = _values(value, parameters, f"{path}.{name}", value)
            continue
        try:
            known = worked_out(value, parameters)
        except ExpressionError as error:
            raise error.at(place_of(raw, name), f"{path}.{name}") from None
        values[name] = tuple(known) if isinstance(known, list) else known
    return values


def _check_keys(fields: Mapping[str, Any], cls: type[Section], path: str) -> None:
    for key in fields:
        if key not in cls.model_fields:
            error = unknown_key(fields, key, cls.model_fields, path=path)
            error.hint = _advice(key, cls) or error.hint
            raise error


def _advice(key: str, cls: type[Section]) -> str:
    """Where a field is to be found that some other library, or another section, has."""
    name = OTHER_NAMES.get(key, key)
    if name in cls.model_fields:
        return f"did you mean {name}?"
    for section, other in SECTIONS.items():
        if cls is Recipe and name in other.model_fields and name != "name":
            return f"write {section}: {{{name}: …}}"
    if name in Recipe.model_fields:
        return f"{name} stands directly under train:"
    return NO_FIELDS.get(key, "")


def _check_choice(section: Section, fields: Mapping[str, Any], path: str) -> None:
    """Each field belongs to what was chosen, and nothing that this needs is missing."""
    chosen = getattr(section, "name", None)
    for field, owners in section.owners.items():
        if field in fields and chosen not in owners:
            raise FieldError(
                f"belongs to {_listed(owners)}; received name: {chosen}",
                place=place_of(fields, field, of_key=True),
                path=f"{path}.{field}",
                hint=f"remove it, or write name: {owners[0]}",
            )
    needed = section.needs.get(str(chosen))
    if needed and not getattr(section, needed):
        raise FieldError(
            f"{chosen} needs {needed}",
            place=place_of(fields, "name"),
            path=path,
            hint=f"write {{name: {chosen}, {needed}: …}}, in epochs",
        )
    if isinstance(section, OptimizerRecipe):
        _check_optimizer(section, fields)


def _listed(words: tuple[str, ...]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _check_optimizer(optimizer: OptimizerRecipe, fields: Mapping[str, Any]) -> None:
    if optimizer.nesterov and not optimizer.momentum:
        raise FieldError(
            "needs momentum",
            place=place_of(fields, "nesterov", of_key=True),
            path="train.optimizer.nesterov",
            hint="write momentum: 0.9 beside it",
        )
    for key in optimizer.options:
        if key in OptimizerRecipe.model_fields:
            raise FieldError(
                "is a field of the optimizer itself",
                place=place_of(fields["options"], key, of_key=True),
                path=f"train.optimizer.options.{key}",
                hint=f"write optimizer: {{{key}: …}}",
            )


def _check_together(recipe: Recipe, fields: Mapping[str, Any]) -> None:
    """Fields that do not go together."""
    if "epochs" in fields and recipe.steps is not None:
        raise FieldError(
            "stands beside epochs",
            place=place_of(fields, "steps", of_key=True),
            path="train.steps",
            hint="say one of the two",
        )
    if recipe.accumulate > recipe.batch_size:
        raise FieldError(
            f"a batch of {recipe.batch_size} has no {recipe.accumulate} parts",
            place=place_of(fields, "accumulate"),
            path="train.accumulate",
            hint="batch_size is that of a whole step",
        )

"""How the weights of a built module start: `init:` of a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cnncalc.errors import ExpressionError, FieldError
from cnncalc.layers.types import Positive
from cnncalc.spec.complaints import check_brackets, validated
from cnncalc.spec.expressions import worked_out
from cnncalc.spec.text import place_of

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SEED = 2**32 - 1
MAIN = "weights"
"""The field of the scalar shorthand, `init: kaiming`."""
OPTIONS = {
    "default": (),
    "kaiming": ("distribution", "mode"),
    "xavier": ("distribution",),
    "trunc_normal": ("std",),
}
"""Each scheme, and the fields that belong to it alone."""
_AUTHORS = {"he": "kaiming", "kaiming": "kaiming", "glorot": "xavier", "xavier": "xavier"}
OTHER_NAMES = _AUTHORS | {
    f"{author}_{distribution}": f"{scheme} and distribution: {distribution}"
    for author, scheme in _AUTHORS.items()
    for distribution in ("normal", "uniform")
}
"""What other libraries call a scheme."""


class Initialization(BaseModel):
    """How weights start: those of convolutions and linear layers by a scheme, their biases at 0.

    With `default`, and for every other layer, PyTorch's own way stands.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    weights: Literal["default", "kaiming", "xavier", "trunc_normal"] = Field(
        default="default", description="The scheme, as torch.nn.init names it."
    )
    distribution: Literal["normal", "uniform"] = Field(
        default="normal", description="Of kaiming and xavier."
    )
    mode: Literal["fan_in", "fan_out"] = Field(
        default="fan_in", description="Of kaiming: which pass keeps its variance."
    )
    std: Positive = Field(default=0.02, description="Of trunc_normal: the standard deviation.")
    zero_init_residual: bool = Field(
        default=False,
        description="Starts the weight of the last normalisation of each residual's body at 0.",
    )
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = Field(
        default=None, description="Makes the weights the same in every build."
    )

    @property
    def options(self) -> dict[str, Any]:
        """The fields that belong to the scheme, and their values."""
        return {name: getattr(self, name) for name in OPTIONS[self.weights]}


def parse_initialization(
    fields: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Initialization:
    """The initialization that `init:` describes, its expressions worked out.

    Raises:
        SpecError: a field is unknown or ill-typed, or does not belong to the scheme.
    """
    check_brackets(fields, "init")
    values: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            values[name] = worked_out(value, parameters)
        except ExpressionError as error:
            raise error.at(place_of(fields, name), f"init.{name}") from None
    examples = {}
    other = OTHER_NAMES.get(str(values.get(MAIN)).lower().removesuffix("_"))
    if other:
        examples[MAIN] = f"did you mean {other}?"
    chosen = validated(Initialization, values, path="init", raw=fields, examples=examples)
    for name in fields:
        owners = [scheme for scheme, options in OPTIONS.items() if name in options]
        if owners and chosen.weights not in owners:
            raise FieldError(
                f"belongs to {' and '.join(owners)}; received {MAIN}: {chosen.weights}",
                place=place_of(fields, name, of_key=True),
                path=f"init.{name}",
                hint=f"remove it, or write {MAIN}: {owners[0]}",
            )
    return chosen

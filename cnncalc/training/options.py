"""The options of a run: how it is carried out, where its recipe says what is learnt."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import update_wrapper
from inspect import signature
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

P = ParamSpec("P")
A = TypeVar("A")
T = TypeVar("T")


def _shown(
    flag: str, text: str, *, metavar: str | None = None, of_beginning: bool = False
) -> dict[str, Any]:
    """How the command line names a field, such as --compile/--no-compile, and explains it.

    `metavar`: it takes a path of that name; else it is a switch. `of_beginning`: only the first
    step asks for it, so that run.json does not hold it.
    """
    return {"flag": flag, "text": text, "metavar": metavar, "of_beginning": of_beginning}


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Each is a parameter of `cnncalc.train`, an option of the command line, and in run.json.

    One that a resumed run may have otherwise is a parameter of `cnncalc.resume` as well.
    """

    device: str = "auto"
    """`cli/train` has this option of its own, at its place among the others."""
    init: str | os.PathLike[str] | None = field(
        default=None,
        metadata=_shown(
            "--init",
            "Begin with the weights of a run, a .pt or a .safetensors.",
            metavar="CHECKPOINT",
            of_beginning=True,
        ),
    )
    init_partial: bool = field(
        default=False,
        metadata=_shown(
            "--init-partial", "Start anew what --init does not fit.", of_beginning=True
        ),
    )
    rewrite: bool = field(
        default=True,
        metadata=_shown(
            "--rewrite/--no-rewrite", "Max pools before their activations; done if not given."
        ),
    )
    compiled: bool = field(
        default=False, metadata=_shown("--compile/--no-compile", "Run under torch.compile.")
    )
    cuda_graph: bool | None = field(
        default=None,
        metadata=_shown(
            "--cuda-graph/--no-cuda-graph",
            "Launch all kernels of a step at once; done for small steps if not given.",
        ),
    )
    deterministic: bool = field(
        default=False, metadata=_shown("--deterministic", "The same bits each time, on CUDA too.")
    )
    tensorboard: bool = field(
        default=False,
        metadata=_shown("--tensorboard", "Write TensorBoard's events into the folder."),
    )

    def described(self) -> dict[str, Any]:
        """What run.json says of them."""
        return {name: getattr(self, name) for name in _kept()}

    @classmethod
    def of_run(cls, description: Mapping[str, Any]) -> RunOptions:
        """Those of a run, from its run.json.

        What it does not name came later: the run does without.
        """
        return cls(**{name: description.get(name, off) for name, off in _kept().items()})


def _kept() -> dict[str, Any]:
    """The names in run.json, and what each is where it is off."""
    return {
        each.name: False if isinstance(each.default, bool) else None
        for each in fields(RunOptions)
        if not each.metadata.get("of_beginning")
    }


def called_with(make: Callable[P, A]) -> Callable[[Callable[[A], T]], Callable[P, T]]:
    """A function of one object, to be called with what the object is made of."""

    def of(do: Callable[[A], T]) -> Callable[P, T]:
        parameters = signature(make)

        def call(*args: P.args, **options: P.kwargs) -> T:
            parameters.bind(*args, **options)  # its `TypeError` names no class
            return do(make(*args, **options))

        update_wrapper(call, do)
        result = signature(do).return_annotation
        call.__signature__ = parameters.replace(return_annotation=result)  # type: ignore[attr-defined]
        return call

    return of

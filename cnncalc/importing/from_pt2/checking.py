"""Every text of a program that PyTorch would evaluate, import or look up, held against a list.

Nothing here reads the graph: a file with such a text is refused even where no one would look at it.
"""

from __future__ import annotations

import json
import keyword
import pickletools
import re
from typing import TYPE_CHECKING, Any

from cnncalc.errors import shorten
from cnncalc.importing.from_pt2 import symbols

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class UnsafeError(ValueError):
    """A text that may run code, and where it stands."""


Path = tuple[str | int, ...]

SIZE_OPERATORS = re.compile(
    r"_operator\.(?:eq|ne|le|ge|lt|gt|neg|pos|abs|not_|getitem|add|sub|mul|truediv|floordiv|mod"
    r"|pow|and_|or_|xor|lshift|rshift|index)"
    r"|math\.(?:trunc|ceil|floor|sqrt)"
    r"|torch\.sym_(?:not|int|float|ite|max|min|sqrt|sum|fresh_size)|torch\._sym_(?:sqrt|log2|exp)"
)
"""What PyTorch computes sizes with."""
_OPERATORS = re.compile(
    r"torch\.ops\.(?:aten|prims|quantized|quantized_decomposed|torchvision)"
    r"\.(?!(?:from_file|save|load|_print|warn)\.)\w+\.\w+"
    r"|torch\.ops\.higher_order\.(?:associative_scan|auto_functionalized|auto_functionalized_v2"
    r"|checkpoint|cond|flex_attention|hints_wrapper|invoke_subgraph|map|map_impl|run_const_graph"
    r"|scan|strict_mode|tag_activation_checkpoint|while_loop|with_effects|wrap"
    r"|wrap_activation_checkpoint|wrap_with_autocast|wrap_with_set_grad_enabled)"
    r"|torch\._functorch\.predispatch\.(?:_add_batch_dim|_remove_batch_dim"
    r"|_vmap_increment_nesting|_vmap_decrement_nesting)"
)
"""Those that compute tensors of tensors; the few that read or write files are left out."""

CONTAINERS = re.compile(
    r"builtins\.(?:tuple|list|dict|NoneType)|torch\.Size|torch\.return_types\.\w+"
    r"|collections\.(?:namedtuple|OrderedDict|defaultdict|deque)"
)
"""Types of what a network takes and returns."""

_STACK = re.compile(r"[\w\s.,;:@<>()\[\]'\"*+-]*")
_NAMES = re.compile(r"[\w\s.,;:<>@-]*")
_FILE = re.compile(r"[\w.-]+")

_GLOBALS = re.compile(
    r"collections OrderedDict|_codecs encode"
    r"|torch (?:\w+Storage|Size|device|dtype|Tensor)"
    r"|torch (?:float|bfloat|complex|int|uint|bool)\w*"
    r"|torch\.storage (?:Untyped|Typed)Storage|torch\.nn\.parameter (?:Parameter|Buffer)"
    r"|torch\.serialization _get_layout|torch\._tensor _rebuild_from_type_v2"
    r"|torch\._utils _rebuild_(?:tensor|tensor_v2|tensor_v3|parameter|parameter_with_state"
    r"|sparse_tensor|qtensor|meta_tensor_no_storage|device_tensor_from_numpy)"
)
"""What a pickle of tensors names."""


def check_program(program: Any) -> None:
    """Raises `UnsafeError` if a text of a program is not what PyTorch writes there."""
    for path, key, value in _texts(program):
        check = _CHECKS.get(key)
        if check is not None:
            reason = check(value)
            if reason:
                place = ".".join(map(str, path[-6:]))
                raise UnsafeError(f"{place} holds {shorten(value)}, {reason}")


def _texts(root: Any) -> Iterator[tuple[Path, str, Any]]:
    """Every value under a key, with the way to it, depth first."""
    pending: list[tuple[Path, Any]] = [((), root)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict):
            for key, inner in value.items():
                yield (*path, key), key, inner
                pending.append(((*path, key), inner))
        elif isinstance(value, list):
            pending += (((*path, index), inner) for index, inner in enumerate(value))


def _size(text: Any) -> str:
    try:
        symbols.value_of(text if isinstance(text, str) else repr(text))
    except symbols.NotASizeError as error:
        return f"which is no symbolic size: {error}"
    return "" if isinstance(text, str) else "which is no text"


def _hint(value: Any) -> str:
    given = [value] if not isinstance(value, dict) else [*value.values()]
    plain = all(each is None or isinstance(each, int | float) for each in given)
    return "" if plain else "which is no number"


def _ranges(value: Any) -> str:
    if not isinstance(value, dict):
        return "which are no ranges of symbols"
    for key, bounds in value.items():
        wrong = _size(key) or _hint(bounds)
        if wrong:
            return f"where {shorten({key: bounds})} stands, {wrong}"
    return ""


def _guards(value: Any) -> str:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return "which are no conditions on sizes"
    for text in value:
        try:
            symbols.check_guard(text)
        except symbols.NotASizeError as error:
            return f"where {shorten(text)} is no condition on sizes: {error}"
    return ""


def _target(text: Any) -> str:
    known = isinstance(text, str) and (SIZE_OPERATORS.fullmatch(text) or _OPERATORS.fullmatch(text))
    return "" if known else "which is no operator of PyTorch on tensors or sizes"


def _tree(text: Any) -> str:
    """The form of inputs and outputs, as JSON within the JSON."""
    try:
        _, pending = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return "which is no form of inputs or outputs"
    pending = [pending]
    while pending:
        node = pending.pop()
        if not isinstance(node, dict) or {*node} != {"type", "context", "children_spec"}:
            return "which is no form of inputs or outputs"
        kind, context, children = node["type"], node["context"], node["children_spec"]
        if kind is not None and not CONTAINERS.fullmatch(str(kind)):
            return f"where {shorten(kind, 40)} is none of Python's own containers"
        if kind == "collections.defaultdict" or "__enum__" in str(context):
            return "where a type would have to be imported"
        if not isinstance(children, list):
            return "which is no form of inputs or outputs"
        pending += children
    return ""


def _metadata(value: Any) -> str:
    if not isinstance(value, dict):
        return "which are no notes"
    allowed = {"nn_module_stack": _STACK, "source_fn_stack": _NAMES, "torch_fn": _NAMES}
    for key, pattern in allowed.items():
        text = value.get(key, "")
        if not isinstance(text, str) or not pattern.fullmatch(text) or "__import__" in text:
            return f"where {key} names no modules or functions"
    return ""


def _never(value: Any) -> str:
    return "" if value in (None, {}, []) else "which is an object of a class of its own"


def _name(text: Any) -> str:
    """Of a node or an argument: PyTorch writes code of them."""
    if text in (None, ""):
        return ""
    plain = isinstance(text, str) and text.isascii() and text.isidentifier()
    return "" if plain and not keyword.iskeyword(text) else "which is no name"


def _named(value: Any) -> str:
    if not isinstance(value, dict):
        return "which are no values"
    wrong = next((key for key in value if _name(key)), None)
    return "" if wrong is None else f"where {shorten(wrong)} is no name"


def _file_name(text: Any) -> str:
    is_name = isinstance(text, str) and _FILE.fullmatch(text) and text.strip(".")
    return "" if is_name else "which is no name of a file in the archive"


_CHECKS: dict[str, Callable[[Any], str]] = {
    "expr_str": _size,
    "hint": _hint,
    "range_constraints": _ranges,
    "guards_code": _guards,
    "target": _target,
    "as_operator": _target,
    "in_spec": _tree,
    "out_spec": _tree,
    "metadata": _metadata,
    "custom_obj_values": _never,
    "as_custom_obj": _never,
    "custom_obj": _never,
    "path_name": _file_name,
    "name": _name,
    "as_name": _name,
    "tensor_values": _named,
    "sym_int_values": _named,
    "sym_float_values": _named,
    "sym_bool_values": _named,
}
"""By the key that a text stands under, wherever that is."""


def check_pickle(data: bytes) -> None:
    """Raises `UnsafeError` if a pickle names more than tensors are made of; it is not loaded."""
    try:
        for opcode, argument, _ in pickletools.genops(data):
            name = opcode.name
            if name in ("GLOBAL", "INST") and not _GLOBALS.fullmatch(str(argument)):
                raise UnsafeError(f"it asks for {shorten(str(argument).replace(' ', '.'))}")
            if name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4", "OBJ"):
                raise UnsafeError("it asks for what it does not name")
    except UnsafeError:
        raise
    except Exception as error:  # noqa: BLE001 - damaged pickles fail in every way there is
        raise UnsafeError(f"it is damaged: {error}") from None

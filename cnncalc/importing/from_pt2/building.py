"""What the file says of a graph -> a graph of `torch.fx`, of known operators and fake tensors.

Symbolic sizes become numbers: the batch is of two samples, as everywhere; a size that depends on
anything else is 0. Weights get no memory.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn
from torch._ops import HigherOrderOperator, OpOverload

from cnncalc.importing.from_pt2 import symbols
from cnncalc.importing.from_pt2.checking import SIZE_OPERATORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch._subclasses.fake_tensor import FakeTensorMode

DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    9: torch.complex32,
    10: torch.complex64,
    11: torch.complex128,
    12: torch.bool,
    13: torch.bfloat16,
    28: torch.uint16,
    29: torch.float8_e4m3fn,
    30: torch.float8_e5m2,
    31: torch.float8_e4m3fnuz,
    32: torch.float8_e5m2fnuz,
    33: torch.float8_e8m0fnu,
    34: torch.uint32,
    35: torch.uint64,
}
"""By the numbers that files give them."""
FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
_POSITIONAL = 1
_SYMBOLIC = ("as_sym_int", "as_sym_float", "as_sym_bool")
_LISTS = ("as_ints", "as_floats", "as_bools", "as_strings", "as_int_lists", "as_float_lists")
_PLAIN = ("as_int", "as_float", "as_bool", "as_string")


class GraphBuilder:
    """Builds one graph, and within it those that its operators hold."""

    def __init__(self, mode: FakeTensorMode, sizes: Mapping[str, int]) -> None:
        self.mode = mode
        self.sizes = sizes
        self.graph = fx.Graph()
        self.inner: dict[str, GraphBuilder] = {}
        self.nodes: dict[str, fx.Node] = {}
        self.values: dict[str, Any] = {}

    def build(self, written: Mapping[str, Any]) -> fx.Graph:
        self.values = {
            **{name: self.tensor(each) for name, each in written["tensor_values"].items()},
            **{name: self.size(each) for name, each in written["sym_int_values"].items()},
        }
        for index, given in enumerate(written["inputs"]):
            self.placeholder(index, given)
        for node in written["nodes"]:
            self.call(node)
        outputs = tuple(map(self.argument, written["outputs"]))
        single = written.get("is_single_tensor_return") and len(outputs) == 1
        self.graph.output(outputs[0] if single else outputs)
        return self.graph

    def size(self, written: Any) -> int:
        """A size as a number; 0 if it depends on more than the batch."""
        kind, value = only(written)
        found = value if kind == "as_int" else symbols.value_of(value["expr_str"], self.sizes)
        return found if type(found) is int and found >= 0 else 0

    def tensor(self, written: Mapping[str, Any]) -> torch.Tensor:
        dtype = DTYPES[written["dtype"]]
        sizes = [self.size(each) for each in written["sizes"]]
        requires_grad = bool(written["requires_grad"])
        with self.mode:
            return torch.empty(sizes, dtype=dtype, requires_grad=requires_grad)

    def placeholder(self, index: int, written: Any) -> None:
        kind, value = only(written)
        name = f"arg{index}"
        if kind == "as_tensor":
            name = value["name"]
        elif kind in _SYMBOLIC:
            name = only(value)[1]
        self.bind(name, self.graph.placeholder(name))

    def bind(self, name: str, node: fx.Node) -> None:
        """Calls a node what the file calls it; PyTorch might have chosen another name."""
        if name in self.nodes:
            raise ValueError(f"there are two nodes {name}")
        node.name = name
        node.meta["val"] = self.values.get(name)
        self.nodes[name] = node

    def call(self, written: Mapping[str, Any]) -> None:
        target = operator_of(written["target"])
        args, kwargs = self.arguments(target, written["inputs"])
        node = self.graph.call_function(target, args, kwargs)
        stack = module_stack(written["metadata"].get("nn_module_stack") or "")
        node.meta["nn_module_stack"] = stack
        outputs = written["outputs"]
        if not outputs:
            return
        kind, value = only(outputs[0])
        alone = len(outputs) == 1
        packed = written.get("is_hop_single_tensor_return") is False
        if alone and kind == "as_tensor" and not packed:
            self.bind(value["name"], node)
        elif alone and kind in _SYMBOLIC and not packed:
            self.bind(only(value)[1], node)
        elif alone and kind == "as_none":
            node.meta["val"] = None
        else:
            items = outputs if not alone or packed else [{"as_tensor": each} for each in value]
            node.meta["val"] = tuple(self.items(node, items, stack))

    def items(self, node: fx.Node, outputs: list[Any], stack: Any) -> Iterator[Any]:
        """What an operator of several outputs gives, each taken out by a node of its own."""
        for index, output in enumerate(outputs):
            kind, value = only(output)
            item = self.graph.call_function(operator.getitem, (node, index))
            item.meta["nn_module_stack"] = stack
            if kind == "as_tensor":
                self.bind(value["name"], item)
            elif kind in _SYMBOLIC:
                self.bind(only(value)[1], item)
            elif kind == "as_tensors":
                parts = [{"as_tensor": each} for each in value]
                item.meta["val"] = [*self.items(item, parts, stack)]
            yield item.meta.get("val")

    def arguments(self, target: Any, written: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """By position or by name, as the operator takes them."""
        if not isinstance(target, OpOverload):
            places = [each for each in written if each.get("kind") in (None, 0, _POSITIONAL)]
            named = [each for each in written if each not in places]
            return (
                tuple(self.argument(each["arg"]) for each in places),
                {each["name"]: self.argument(each["arg"]) for each in named},
            )
        given = {each["name"]: each for each in written}
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for each in target._schema.arguments:
            if each.name not in given:
                continue
            kind = given.pop(each.name)
            value = self.argument(kind["arg"])
            by_place = not each.has_default_value() and not each.kwarg_only
            if kind.get("kind") == _POSITIONAL or (not kind.get("kind") and by_place):
                args.append(value)
            else:
                kwargs[each.name] = value
        if given:
            raise ValueError(f"{target} takes no {', '.join(given)}")
        return tuple(args), kwargs

    def argument(self, written: Any) -> Any:
        kind, value = only(written)
        read = _ARGUMENTS.get(kind)
        if read is None:
            raise ValueError(f"an argument is {kind}")
        return read(self, value)

    def nested(self, written: Any) -> Any:
        if isinstance(written, list):
            return [self.nodes[each["name"]] for each in written]
        return self.argument(written)

    def symbolic(self, written: Any) -> Any:
        kind, value = only(written)
        return self.nodes[value] if kind == "as_name" else value

    def held(self, written: Mapping[str, Any]) -> fx.Node:
        """A graph that an operator is handed."""
        builder = GraphBuilder(self.mode, self.sizes)
        builder.build(written["graph"])
        self.inner[written["name"]] = builder
        return self.graph.create_node("get_attr", written["name"])

    def module(self) -> nn.Module:
        """The graphs that operators are handed, as modules: PyTorch makes code of them."""
        root = nn.Module()
        for name, builder in self.inner.items():
            root.add_module(name, fx.GraphModule(builder.module(), builder.graph))
        return root


_ARGUMENTS: dict[str, Callable[[GraphBuilder, Any], Any]] = {
    "as_none": lambda _, __: None,
    "as_tensor": lambda self, value: self.nodes[value["name"]],
    "as_tensors": lambda self, value: [self.nodes[each["name"]] for each in value],
    **dict.fromkeys(_PLAIN, lambda _, value: value),
    **dict.fromkeys(_LISTS, lambda _, value: [*value]),
    **dict.fromkeys(_SYMBOLIC, GraphBuilder.symbolic),
    **dict.fromkeys(
        (f"{kind}s" for kind in _SYMBOLIC), lambda self, value: [*map(self.symbolic, value)]
    ),
    "as_optional_tensor": GraphBuilder.argument,
    "as_optional_tensors": lambda self, value: [*map(self.nested, value)],
    "as_nested_tensors": lambda self, value: [*map(self.nested, value)],
    "as_scalar_type": lambda _, value: DTYPES[value],
    "as_memory_format": lambda _, value: FORMATS[value],
    "as_layout": lambda _, __: torch.strided,
    "as_device": lambda _, __: torch.device("cpu"),
    "as_complex": lambda _, value: complex(value["real"], value["imag"]),
    "as_string_to_argument": lambda self, value: {
        str(key): self.argument(each) for key, each in value.items()
    },
    "as_operator": lambda _, value: operator_of(value),
    "as_graph": GraphBuilder.held,
}
"""By the kind of an argument."""


def only(written: Mapping[str, Any]) -> tuple[str, Any]:
    """The kind of a value that may be one of several, and the value."""
    ((kind, value),) = written.items()
    return kind, value


def operator_of(name: str) -> Callable[..., Any]:
    """An operator by the name that `checking` has let through.

    Raises:
        ValueError: this PyTorch has no such operator.
    """
    module, _, last = name.rpartition(".")
    found: Any = None
    if SIZE_OPERATORS.fullmatch(name):
        found = getattr({"_operator": operator, "math": math, "torch": torch}[module], last, None)
    elif name.startswith("torch.ops.higher_order."):
        found = getattr(torch.ops.higher_order, last, None)
        found = found if isinstance(found, HigherOrderOperator) else None
    elif name.startswith("torch.ops."):
        _, _, namespace, base, overload = name.split(".")
        found = getattr(getattr(torch.ops, namespace), base, None)
        found = getattr(found, overload, None)
        found = found if isinstance(found, OpOverload) else None
    else:
        from torch._functorch import predispatch

        found = getattr(predispatch, last, None)
    if found is None:
        raise ValueError(f"this PyTorch has no operator {name}")
    return found  # type: ignore[no-any-return]


def module_stack(text: str) -> dict[str, tuple[str, str]]:
    """`key,path,type;…`: the calls of modules around a node."""
    calls = {}
    for item in filter(None, text.split(";")):
        key, path, kind = _split(item)
        calls[key] = (path, kind)
    return calls


def _split(text: str) -> list[str]:
    """At the commas outside of brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts

"""`.pt2` files for tests: honest ones as PyTorch writes them, and those made hostile."""

from __future__ import annotations

import io
import json
import pickle
import random
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim

CODE = "__import__('pathlib').Path('ran').touch()"
"""Leaves a file in the current folder."""
Members = dict[str, bytes]
Change = Callable[[Members], None]


class Net(nn.Module):
    """Has a constant, a frozen weight, a buffer, two outputs of one operator and sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.conv.requires_grad_(False)
        self.order = torch.tensor([1, 0, 3])
        self.fc = nn.Linear(27, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norm(self.conv(x)))[:, self.order]
        y = nn.functional.max_pool2d(y, 2)
        first, second = y.split([1, 2], 1)
        y = torch.cat((second, first), 1)
        return self.fc(y.reshape(y.shape[0], -1))


class InPlace(nn.Module):
    """Writes into a part of what others use: the import has PyTorch run its operators."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.relu()
        y[:, :1].mul_(2)
        return y


def save(
    file: Path, module: nn.Module, side: int = 8, varying: tuple[int, ...] = (), **options: Any
) -> None:
    """Exports a module for inputs of (2, 3, side, side); some axes may vary."""
    shapes = {axis: Dim.AUTO if axis else Dim("batch") for axis in varying}
    dynamic = ({axis: shapes.get(axis, Dim.STATIC) for axis in range(4)},) if varying else None
    x = (torch.zeros(2, 3, side, side),)
    program = torch.export.export(module.eval(), x, dynamic_shapes=dynamic, **options)
    torch.export.save(program, file)


def members(file: Path) -> Members:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(file: Path, held: Members) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in held.items():
            archive.writestr(name, data)


def place(held: Members, ending: str) -> str:
    return next(name for name in held if name.endswith(ending))


@contextmanager
def edited(held: Members, ending: str) -> Iterator[Any]:
    """The JSON of a member, which is written back."""
    name = place(held, ending)
    data = json.loads(held[name])
    yield data
    held[name] = json.dumps(data).encode()


class Attack:
    """Unpickling it leaves a file."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("ran"),)


def saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def everywhere(key: str, value: Any) -> Change:
    """Puts a value under a key wherever the program has it."""

    def put(found: Any) -> None:
        for each in [*found.values()] if isinstance(found, dict) else found:
            if isinstance(each, dict | list):
                put(each)
        if isinstance(found, dict) and key in found:
            found[key] = value

    def change(held: Members) -> None:
        with edited(held, "models/model.json") as program:
            put(program)

    return change


def in_program(edit: Callable[[Any], Any]) -> Change:
    def change(held: Members) -> None:
        with edited(held, "models/model.json") as program:
            edit(program)

    return change


def in_graph(edit: Callable[[Any], Any]) -> Change:
    return in_program(lambda program: edit(program["graph_module"]["graph"]))


def node(target: str, *texts: str) -> dict[str, Any]:
    inputs = [{"name": "", "arg": {"as_string": text}, "kind": 1} for text in texts]
    return {
        "target": target,
        "inputs": inputs,
        "outputs": [{"as_none": True}],
        "metadata": {},
        "name": "added",
    }


def called(target: str, *texts: str) -> Change:
    """A further operator, before all others."""
    return in_graph(lambda graph: graph["nodes"].insert(0, node(target, *texts)))


def with_tree(kind: str, context: Any) -> Change:
    """Another form of the inputs; types in it are looked up."""
    leaf = {"type": None, "context": None, "children_spec": []}
    tree = json.dumps([1, {"type": kind, "context": context, "children_spec": [leaf]}])

    def edit(program: Any) -> None:
        program["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = tree

    return in_program(edit)


def with_constant(path_name: str, data: bytes, *, tensor: bool) -> Change:
    def change(held: Members) -> None:
        with edited(held, "model_constants_config.json") as config:
            payload = config["config"]["order"]
            payload |= {"path_name": path_name, "use_pickle": True}
            payload["tensor_meta"] = payload["tensor_meta"] if tensor else None
        folder = place(held, "model_constants_config.json").rpartition("/")[0]
        held[f"{folder}/{path_name}"] = data

    return change


def with_weight(held: Members) -> None:
    with edited(held, "model_weights_config.json") as config:
        config["config"]["fc.weight"]["use_pickle"] = True
    held[place(held, "weights/weight_0")] = saved(Attack())
    with edited(held, "model_weights_config.json") as config:
        config["config"]["fc.weight"]["path_name"] = "weight_0"


def weight_size(held: Members) -> None:
    with edited(held, "model_weights_config.json") as config:
        meta = config["config"]["fc.weight"]["tensor_meta"]
        meta["sizes"][0] = {"as_expr": {"expr_str": CODE, "hint": {"as_int": 2}}}


def weight_elsewhere(held: Members) -> None:
    with edited(held, "model_weights_config.json") as config:
        config["config"]["fc.weight"]["path_name"] = "../../evil"


def added(name: str, data: bytes) -> Change:
    def change(held: Members) -> None:
        root = next(iter(held)).partition("/")[0]
        held[f"{root}/{name}"] = data

    return change


def second_program(held: Members) -> None:
    program = held[place(held, "models/model.json")]
    everywhere("expr_str", CODE)(held)
    name = place(held, "models/model.json")
    held[name.replace("model.json", "a.json")] = held[name]
    held[name] = program
    for ending in ("model_weights_config.json", "model_constants_config.json", "inputs/model.pt"):
        found = place(held, ending)
        held[found.replace("/model", "/a")] = held[found]


def old_file(held: Members) -> None:
    everywhere("expr_str", CODE)(held)
    program = held[place(held, "models/model.json")]
    held.clear()
    held |= {
        "version": b"8.1",
        "serialized_exported_program.json": program,
        "serialized_state_dict.pt": saved({}),
        "serialized_constants.pt": saved({}),
        "serialized_example_inputs.pt": saved(((torch.zeros(2, 3, 8, 8),), {})),
    }


def first_input_renamed(graph: Any) -> None:
    """PyTorch writes `def forward(self, …)` with the names of inputs, and runs it."""
    name = f"x={CODE}"
    graph["inputs"][0]["as_tensor"]["name"] = name
    graph["tensor_values"][name] = next(iter(graph["tensor_values"].values()))


def ranges(program: Any) -> None:
    program["range_constraints"][CODE] = {"min_val": 2, "max_val": 9}


def noted(graph: Any) -> None:
    graph["nodes"][0]["metadata"]["source_fn_stack"] = f"x,{CODE}"


FACTORY = {"default_factory_module": "evil", "default_factory_name": "x", "dict_context": []}
ENUM = json.dumps([{"__enum__": True, "fqn": "evil:X", "name": "x"}])
EVIL = f"{CODE}\nx = dict\n"
"""A module `evil` that leaves the file when it is imported."""
HOSTILE: dict[str, tuple[str, Change]] = {
    "a size": ("net", everywhere("expr_str", CODE)),
    "the size of a weight": ("net", weight_size),
    "a number of sizes": (
        "net",
        in_graph(lambda graph: graph["sym_int_values"].update(n={"as_expr": {"expr_str": CODE}})),
    ),
    "a condition": (
        "net",
        in_graph(lambda graph: graph["sym_bool_values"].update(n={"as_expr": {"expr_str": CODE}})),
    ),
    "a tower of powers": ("net", everywhere("expr_str", "9**9**9**9")),
    "the symbol of a range": ("net", in_program(ranges)),
    "a guard": ("net", in_program(lambda program: program["guards_code"].append(CODE))),
    "a hint": ("net", everywhere("hint", {"as_int": CODE})),
    "a function of Python": ("in_place", called("torch.serialization.os.system", "touch ran")),
    "a library": ("in_place", called("torch.ops.load_library", "./libevil.so")),
    "an operator that writes": ("in_place", called("torch.ops.aten.save.default", "x", "ran")),
    "an operator as an argument": (
        "net",
        in_graph(
            lambda graph: graph["nodes"][0]["inputs"].append(
                {"name": "f", "arg": {"as_operator": "torch.hub.load"}, "kind": 2}
            )
        ),
    ),
    "the name of an input": ("net", in_graph(first_input_renamed)),
    "a function in the notes": ("net", in_graph(noted)),
    "a type that is imported": ("net", with_tree("collections.defaultdict", FACTORY)),
    "a member of an enumeration": ("net", with_tree("builtins.dict", ENUM)),
    "an object": ("net", with_constant("opaque_obj_0", pickle.dumps(Attack()), tensor=False)),
    "a script object": ("net", with_constant("custom_obj_0", saved(Attack()), tensor=False)),
    "a pickled constant": ("net", with_constant("tensor_0", saved(Attack()), tensor=True)),
    "a pickled weight": ("net", with_weight),
    "sample inputs": (
        "net",
        lambda held: held.update({place(held, "sample_inputs/model.pt"): saved(Attack())}),
    ),
    "compiled code": ("net", added("data/aotinductor/model/evil.so", b"\x7fELF")),
    "a second program": ("net", second_program),
    "a file of before": ("net", old_file),
    "a member outside": ("net", added("../evil.py", EVIL.encode())),
    "a path outside": ("net", weight_elsewhere),
}
"""Ways to hide code in a program, and the honest one that each is put into."""


def mutated(held: Members, chance: random.Random) -> Members:
    """A file of the same members, one of them damaged or changed."""
    held = dict(held)
    name = chance.choice([name for name in held if "weights/weight" not in name])
    if chance.random() < 0.3 or not name.endswith(".json"):
        data = bytearray(held[name])
        for _unused in range(chance.randint(1, 4)):
            at = chance.randrange(len(data) + 1)
            data[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        held[name] = bytes(data)
        return held
    data = json.loads(held[name])
    for _unused in range(chance.randint(1, 3)):
        _change(data, chance)
    held[name] = json.dumps(data).encode()
    return held


_ODD: list[Any] = [None, True, -1, 0, 2**31, 2**70, 1.5, float("nan"), "", "x", CODE, [], {}, "s0"]


def _change(data: Any, chance: random.Random) -> None:
    """Goes down to a value and drops, doubles or replaces it, or a key."""
    while True:
        keys = [*data] if isinstance(data, dict) else [*range(len(data))]
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(data[key], dict | list) and data[key] and chance.random() < 0.9:
            data = data[key]
            continue
        kind = chance.randrange(4)
        if kind == 0:
            del data[key]
        elif kind == 1 and isinstance(data, dict):
            data[chance.choice(["as_int", "as_expr", "name", CODE])] = data.pop(key)
        elif kind == 1:
            data.insert(key, data[key])
        else:
            data[key] = chance.choice(_ODD)
        return

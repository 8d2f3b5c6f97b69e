"""Graph -> nn.Module: a torch.fx.GraphModule whose submodules bear the names of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from cnncalc.layers.merge import Merge
from cnncalc.network.expansion import build_graph
from cnncalc.network.names import INPUT
from cnncalc.pytorch.initialization import initialize, seeded
from cnncalc.pytorch.modules import namespace
from cnncalc.pytorch.weights import remember_names
from cnncalc.spec.architecture import Architecture
from cnncalc.spec.loading import load

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from cnncalc.network.graph import Graph, Node


def build(
    network: Architecture | str | os.PathLike[str] | Mapping[str, Any], *, seed: int | None = None
) -> nn.Module:
    """The network as an ordinary module: (N, *input) -> (N, *output).

    Submodules and `state_dict` keys are the table's node names. Weights start as the file's `init`
    says, or as PyTorch's do. With a `seed`, which wins over the file's, they are the same in every
    build, on every device, and the state of PyTorch's random numbers is left alone.

    Raises:
        SpecError: the spec is wrong.
    """
    if not isinstance(network, Architecture):
        network = load(network)
    graph = build_graph(network)
    seed = graph.init.seed if seed is None else seed
    if seed is None:
        return compile_graph(graph)
    device = torch.get_default_device()
    with seeded(seed):
        return compile_graph(graph).to(device)


def compile_graph(graph: Graph) -> fx.GraphModule:
    """The module of a graph. Each tensor is dropped after its last use.

    The `meta["row"]` of a node of its code is the number of the node of `graph` that it computes.
    """
    graph.check_buildable()
    root = nn.Module()
    code = fx.Graph()
    values: dict[int, fx.Node] = {INPUT: code.placeholder("x", torch.Tensor)}
    for node in graph.nodes:
        operands = [values[number] for number in node.inputs]
        if isinstance(node.layer, Merge):
            values[node.number] = _join(code, node, operands)
        else:
            _attach(root, node.name, _module(node))
            values[node.number] = code.call_module(node.name, (operands[0],))
            values[node.number].meta["row"] = node.number
    code.output(values[graph.output])
    _share(root, graph)
    initialize(root, graph)
    model = fx.GraphModule(root, code, class_name=_class_name(graph.name))
    remember_names(model, graph.imported.weights)
    model.train()
    return model


def _module(node: Node) -> nn.Module:
    module: nn.Module = node.layer.build(namespace, *node.input_shapes)
    if node.frozen:
        module.requires_grad_(requires_grad=False)
    return module


def _attach(root: nn.Module, name: str, module: nn.Module) -> None:
    *scopes, last = name.split(".")
    parent = root
    for scope in scopes:
        child = parent._modules.get(scope)
        if child is None:
            child = nn.Module()
            parent.add_module(scope, child)
        parent = child
    parent.add_module(last, module)


def _join(code: fx.Graph, node: Node, operands: list[fx.Node]) -> fx.Node:
    def call(function: Any, args: tuple[Any, ...], **options: Any) -> fx.Node:
        made = code.create_node("call_function", function, args, options, name=name)
        made.meta["row"] = node.number
        return made

    name = node.name.replace(".", "_")
    assert isinstance(node.layer, Merge)
    joined: fx.Node = node.layer.compute(torch, call, operands)
    return joined


def _share(root: nn.Module, graph: Graph) -> None:
    """Ties the weights of nodes that share them to their owner's."""
    for node in graph.nodes:
        if node.shares is None:
            continue
        module = root.get_submodule(node.name)
        owner = root.get_submodule(graph.nodes[node.shares].name)
        for name, parameter in owner.named_parameters(recurse=False):
            setattr(module, name, parameter)


def _class_name(name: str) -> str:
    word = "".join(char if char.isascii() and char.isalnum() else "_" for char in name)
    return word if word.isidentifier() else f"Network_{word}"

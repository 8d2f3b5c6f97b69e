"""cnncalc: the shapes, costs and receptive fields of a convolutional network from one YAML file.

network = cnncalc.load("lenet.yaml")    # path, bundled name or dict -> Architecture
summary = cnncalc.analyze(network)      # a Summary: prints as a table
model = cnncalc.build(network)          # torch.nn.Module
run = cnncalc.train(network)            # as its train: section says
print(cnncalc.verify(network))          # the table beside what the module was measured to be
cnncalc.analyze_module(module, (3, 224, 224))   # the Summary of any module of PyTorch
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnncalc.analysis.analyze import analyze
    from cnncalc.analysis.summary import LayerSummary, ReceptiveField, Summary, Totals
    from cnncalc.errors import CnncalcError, OutputError, SpecError, UsageError
    from cnncalc.exporting.export import export as export
    from cnncalc.importing.import_network import analyze_module as analyze_module
    from cnncalc.pytorch.compiler import build as build
    from cnncalc.pytorch.weights import load_weights as load_weights
    from cnncalc.spec.architecture import Architecture
    from cnncalc.spec.loading import load
    from cnncalc.training.reports.evaluate import evaluate as evaluate
    from cnncalc.training.reports.predict import predict as predict
    from cnncalc.training.train import resume as resume
    from cnncalc.training.train import train as train
    from cnncalc.verification.result import Verification
    from cnncalc.verification.verify import verify as verify

__version__ = "0.1.0"

_HOME = {
    "Architecture": "spec.architecture",
    "CnncalcError": "errors",
    "LayerSummary": "analysis.summary",
    "OutputError": "errors",
    "ReceptiveField": "analysis.summary",
    "SpecError": "errors",
    "Summary": "analysis.summary",
    "Totals": "analysis.summary",
    "UsageError": "errors",
    "Verification": "verification.result",
    "analyze": "analysis.analyze",
    "analyze_module": "importing.import_network",
    "build": "pytorch.compiler",
    "evaluate": "training.reports.evaluate",
    "export": "exporting.export",
    "load": "spec.loading",
    "load_weights": "pytorch.weights",
    "predict": "training.reports.predict",
    "resume": "training.train",
    "train": "training.train",
    "verify": "verification.verify",
}

__all__ = [
    "Architecture",
    "CnncalcError",
    "LayerSummary",
    "OutputError",
    "ReceptiveField",
    "SpecError",
    "Summary",
    "Totals",
    "UsageError",
    "Verification",
    "__version__",
    "analyze",
    "load",
]
"""What needs no PyTorch: the other names load it when they are first asked for."""


def __getattr__(name: str) -> Any:
    """Public names are loaded on first use, so that `import cnncalc` costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    except ModuleNotFoundError as error:
        from cnncalc.errors import torch_is_missing

        raise torch_is_missing(error, name) from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_HOME})

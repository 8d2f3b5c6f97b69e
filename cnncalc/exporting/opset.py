"""The operator sets of ONNX that can be written."""

OPSET = 20
"""The ONNX operator set that is written unless another is asked for."""
OPSETS = range(18, 24)
"""Those that PyTorch's exporter can write."""

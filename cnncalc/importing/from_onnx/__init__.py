"""A file of ONNX."""

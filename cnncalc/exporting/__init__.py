"""A network as a file that others read: Python source, ONNX, a program of PyTorch."""

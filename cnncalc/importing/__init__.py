"""Networks from elsewhere: a PyTorch module, an exported program or an ONNX file -> a spec.

A reader makes operations of what it finds (`operations`); `structure` arranges them as chains and
joins, `writing` gives them names and writes the spec.
"""

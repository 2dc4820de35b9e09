"""ONNX: export from PyTorch, and passes, one file a pass."""

"""Build a TensorRT engine and its manifest; the TensorRT flavours (10.x, 11.x, RTX)."""

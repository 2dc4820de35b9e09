"""Build a TensorRT engine and its manifest, on every flavour: TensorRT 10, TensorRT 11, TensorRT-RTX."""

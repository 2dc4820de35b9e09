"""TensorRT plugins around the kernels: a library in C++ for every version, and the same in Python."""

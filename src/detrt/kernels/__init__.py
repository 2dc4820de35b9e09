"""CUDA source that detrt compiles where it runs. One file a kernel; each compiles with nvcc for C++ as it is."""

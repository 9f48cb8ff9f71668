"""The GPU: finding one, CUDA kernels, matrix products of its own, recorded graphs."""

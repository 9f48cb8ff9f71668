"""The GPU: opening CuPy, CUDA kernels, products by cuBLAS, recorded graphs, the wavefront."""

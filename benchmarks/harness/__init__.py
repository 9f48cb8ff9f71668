"""Shared by the benchmark scripts: contenders, paired timing, the machine, results.

charrnn and PyTorch are timed in processes of their own, because the idle threads of OpenBLAS and of
PyTorch's OpenMP pool spin for a while and slow the other down when both live in one process. Each
waits on a pipe while the other computes.
"""

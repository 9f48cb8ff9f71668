"""The compiled core: layers, head and parameter update of float32 models in C, on a CPU.

The equations are those of :mod:`charrnn.cells` and :mod:`charrnn.model`, which remain the
reference. Sums are taken in a fixed order with fused multiply-adds, so that results depend neither
on the processor nor on the number of threads.
"""

"""The compiled core: float32 models in C, on a CPU.

It computes layers, the head and its loss, a step of sampling, dropout masks, the norm of a gradient
and the optimizers. The equations are those of :mod:`charrnn.cells` and :mod:`charrnn.model`, which
remain the reference. Sums are taken in a fixed order with fused multiply-adds, so that results do
not depend on the number of threads nor, except for products in bfloat16, on the processor.
"""

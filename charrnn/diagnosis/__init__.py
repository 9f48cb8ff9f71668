"""What gradients do in a model: measured, recorded and judged.

The package is not called ``diagnose``, because :func:`charrnn.diagnose` is a function.

===============  =================================================================================
module           contents
===============  =================================================================================
``subjects``     a checkpoint, a model or an untrained model, each with its text
``settings``     how much is measured
``measures``     the measurements, a file each
``report``       the record of all measurements and verdicts
``verdicts``     what is wrong, on what evidence, and what to do
``examine``      every measurement in turn, then the verdicts
``compare``      several cells, trained alike and examined alike
``history``      the gradient norms that a training run recorded
===============  =================================================================================
"""

"""The diagnosis of a model: how its gradients behave, and what is wrong.

The package is not called ``diagnose``, because :func:`charrnn.diagnose` is a function.

===============  =================================================================================
module           contents
===============  =================================================================================
``subjects``     a checkpoint, a model or an untrained model, each with its text
``settings``     how much is measured
``measures``     the measurements, one file each
``report``       the record of all measurements and verdicts
``verdicts``     what is wrong, on what evidence, and what to do
``examine``      every measurement in turn, then the verdicts
``compare``      several cells, trained and examined under the same conditions
``history``      the gradient norms that a training run recorded
``losses``       what its losses say: unstable, overfitting, cut short
===============  =================================================================================
"""

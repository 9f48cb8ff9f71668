"""What gradients do in a model: each measurement with its definition and its source, as numbers.

The package is not called ``diagnose``, because :func:`charrnn.diagnose` is a function.

===============  =================================================================================
module           what it holds
===============  =================================================================================
``subjects``     what is diagnosed: a checkpoint, a model, an untrained model, each with its text
``settings``     how much is measured
``broken``       parameters and moments that are not finite
``norms``        gradient norms before clipping, clipping, update-to-weight ratios
``lag``          ∂ℓ/∂h and ∂ℓ/∂c of single-step losses, by how many steps they lie back
``spectra``      spectral radius and largest singular value of the recurrent matrices
``jacobian``     the state Jacobian along a text: products, Lyapunov exponents
``gates``        saturated gates, time constants, units that are dead or do not vary
``context``      how many characters back the model uses
``gradcheck``    gradients and Jacobians against central differences, NumPy against CuPy
``report``       the record of all measurements and verdicts
``verdicts``     what is wrong, why that may be said, and what to do
``examine``      every measurement in turn, then the verdicts
``compare``      several cells, trained alike and examined alike
``history``      the gradient norms that a training run recorded
===============  =================================================================================
"""

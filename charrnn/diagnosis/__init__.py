"""What gradients do in a model: numbers only, each measured, with its definition and its source.

===============  =================================================================================
module           what it measures
===============  =================================================================================
``norms``        gradient norms before clipping, clipping, update-to-weight ratios
``lag``          ∂ℓ/∂h and ∂ℓ/∂c of single-step losses, by how many steps they lie back
``spectra``      spectral radius and largest singular value of the recurrent matrices
``jacobian``     the state Jacobian along a text: products, Lyapunov exponents
``gates``        saturated gates, time constants, units that are dead or do not vary
``context``      how many characters back the model uses
``gradcheck``    gradients and Jacobians against central differences, NumPy against CuPy
``history``      the norms that training recorded
``verdicts``     what is wrong, why that may be said, and what to do
``examine``      all of it, as one report
``compare``      several cells, trained alike and examined alike
===============  =================================================================================
"""

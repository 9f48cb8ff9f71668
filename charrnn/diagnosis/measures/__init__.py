"""The measurements of a diagnosis: numbers, each with its definition and its source.

===============  =================================================================================
module           measures
===============  =================================================================================
``broken``       parameters and moments with NaN or infinity
``norms``        gradient norms before clipping, clipping, update-to-weight ratios
``lag``          ∂ℓ/∂h and ∂ℓ/∂c of single-step losses, by lag
``totals``       the total gradient of every state at every step
``curves``       such a profile in a few numbers
``spectra``      spectral radius and largest singular value of the recurrent matrices
``jacobian``     the state Jacobian along a text: products, Lyapunov exponents
``gates``        saturated gates, time constants, units that are dead or do not vary
``context``      how many characters back the model uses
``gradcheck``    gradients and Jacobians against central differences, NumPy against CuPy
``values``       shared by all: float64, summaries of samples, records for JSON
===============  =================================================================================
"""

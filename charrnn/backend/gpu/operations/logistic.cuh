// σ(2x): the cells stage their weights such that what is logistic arrives halved.
__device__ __forceinline__ real logistic(real x) {
    return tanh(x) * (real)0.5 + (real)0.5;
}

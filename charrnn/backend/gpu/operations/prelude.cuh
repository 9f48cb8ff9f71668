// Included before every source; `real` is float or double.
typedef unsigned int u32;
typedef unsigned long long u64;

// The first element of a thread, and the distance to its next one.
__device__ __forceinline__ long long first() {
    return (long long)blockIdx.x * blockDim.x + threadIdx.x;
}
__device__ __forceinline__ long long stride() {
    return (long long)gridDim.x * blockDim.x;
}

// Symbol i of an array whose elements have `width` bytes.
__device__ __forceinline__ long long symbol(const void* ids, int width, long long i) {
    switch (width) {
        case 1: return ((const unsigned char*)ids)[i];
        case 2: return ((const unsigned short*)ids)[i];
        case 4: return ((const unsigned int*)ids)[i];
        default: return ((const long long*)ids)[i];
    }
}

// The sum over the threads of a block (their number is a power of two), in a fixed order.
__device__ inline double block_sum(double value, double* shared, int thread, int threads) {
    shared[thread] = value;
    for (int half = threads / 2; half > 0; half /= 2) {
        __syncthreads();
        if (thread < half) shared[thread] += shared[thread + half];
    }
    __syncthreads();
    double sum = shared[0];
    __syncthreads();
    return sum;
}

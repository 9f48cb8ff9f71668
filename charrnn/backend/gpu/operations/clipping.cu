extern "C" __global__ void squares(const real* x, long long size, double* partial) {
    __shared__ double shared[256];
    double sum = 0;
    for (long long i = first(); i < size; i += stride()) sum += (double)x[i] * x[i];
    sum = block_sum(sum, shared, threadIdx.x, 256);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

extern "C" __global__ void root(const double* partial, int count, real* out) {
    __shared__ double shared[256];
    double sum = 0;
    for (int i = threadIdx.x; i < count; i += 256) sum += partial[i];
    sum = block_sum(sum, shared, threadIdx.x, 256);
    if (threadIdx.x == 0) *out = (real)sqrt(sum);
}

extern "C" __global__ void clip(const real* size, real limit, real* out) {
    if (first() == 0) *out = limit / (*size < limit ? limit : *size);
}

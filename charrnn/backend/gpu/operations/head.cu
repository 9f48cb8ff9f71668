// 8 threads share each column of the products (V, M); a block has 32 columns.
extern "C" __global__ void cross_entropy(
    real* products, const real* bias, const void* targets, int width, int V, long long M,
    real share, double* partial
) {
    __shared__ real tops[8][32], sums[8][32];
    __shared__ double shared[256];
    int x = threadIdx.x, y = threadIdx.y;
    long long m = 32LL * blockIdx.x + x;
    int rows = m < M ? V : 0;  // no thread returns early: all must reach the barriers
    real* column = products + m;
    real top = (real)-3.0e38;
    for (int v = y; v < rows; v += 8) {
        real z = column[v * M] + bias[v];
        if (z > top) top = z;
    }
    tops[y][x] = top;
    __syncthreads();
    for (int i = 0; i < 8; ++i)
        if (tops[i][x] > top) top = tops[i][x];
    real sum = 0;
    for (int v = y; v < rows; v += 8) sum += exp(column[v * M] + bias[v] - top);
    sums[y][x] = sum;
    __syncthreads();
    sum = 0;
    for (int i = 0; i < 8; ++i) sum += sums[i][x];
    real scale = share / sum;
    long long target = rows ? symbol(targets, width, m) : -1;
    double nats = 0;
    for (int v = y; v < rows; v += 8) {
        real z = column[v * M] + bias[v] - top, d = exp(z) * scale;
        if (v == target) {
            nats = log(sum) - z;
            d -= share;
        }
        column[v * M] = d;
    }
    nats = block_sum(nats, shared, 32 * y + x, 256);
    if (x == 0 && y == 0) partial[blockIdx.x] = nats;
}

extern "C" __global__ void total(const double* partial, long long count, real* out) {
    __shared__ double shared[256];
    double sum = 0;
    for (long long i = threadIdx.x; i < count; i += 256) sum += partial[i];
    sum = block_sum(sum, shared, threadIdx.x, 256);
    if (threadIdx.x == 0) *out = (real)sum;
}

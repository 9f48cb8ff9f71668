extern "C" __global__ void columns(
    const real* table, long long width, const void* ids, int bytes,
    real* out, long long step, int T, int F, int N
) {
    for (long long t = blockIdx.y; t < T; t += gridDim.y)
        for (long long i = first(); i < (long long)F * N; i += stride()) {
            int f = (int)(i / N), n = (int)(i % N);
            out[t * step + i] = table[f * width + symbol(ids, bytes, t * N + n)];
        }
}

// A stable sort of the ids: each thread counts those that come before its own. The host would have
// to wait for a library's sort.
extern "C" __global__ void ordered(const void* ids, int bytes, long long M, long long* order) {
    __shared__ int some[256];
    for (long long block = blockIdx.x; block * 64 < M; block += gridDim.x) {
        long long m = block * 64 + threadIdx.x, place = 0;
        int mine = m < M ? (int)symbol(ids, bytes, m) : 0;
        for (long long from = 0; from < M; from += 256) {
            int count = M - from < 256 ? (int)(M - from) : 256;
            int equals = m <= from ? 0 : m - from < count ? (int)(m - from) : count;
            __syncthreads();
            for (int j = threadIdx.x; j < count; j += 64)
                some[j] = (int)symbol(ids, bytes, from + j);
            __syncthreads();
            int before = 0;
            for (int j = 0; j < count; ++j) before += some[j] < mine + (j < equals);
            place += before;
        }
        if (m < M) order[place] = m;
    }
}

// The start of each symbol in the sorted ids, and the end of the last one.
extern "C" __global__ void bounds(
    const void* ids, int bytes, const long long* order, long long M, long long* starts, int V
) {
    for (long long v = first(); v <= V; v += stride()) {
        long long low = 0, high = M;
        while (low < high) {
            long long middle = (low + high) / 2;
            if (symbol(ids, bytes, order[middle]) < v) low = middle + 1;
            else high = middle;
        }
        starts[v] = low;
    }
}

// A block computes one row of the result, each of its warps every eighth symbol of the row.
extern "C" __global__ void column_sums(
    const real* rows, const long long* order, const long long* starts, long long M,
    real* out, int V
) {
    const real* row = rows + blockIdx.x * M;
    int lane = threadIdx.x % 32;
    for (int v = threadIdx.x / 32; v < V; v += blockDim.x / 32) {
        real sum = 0;
        for (long long i = starts[v] + lane; i < starts[v + 1]; i += 32) sum += row[order[i]];
        for (int half = 16; half > 0; half /= 2) sum += __shfl_xor_sync(0xFFFFFFFFu, sum, half);
        if (lane == 0) out[(long long)blockIdx.x * V + v] = sum;
    }
}

// A block of 128 threads processes one stream, a column of the logits (V, N).

// The largest logit except that of the unknown symbol, and its first position.
__device__ inline double largest(
    const real* column, int V, int N, int unknown, double* shared, int* places, int* place
) {
    int thread = threadIdx.x, at = V;
    double top = 0;
    for (int v = thread; v < V; v += 128) {
        if (v == unknown) continue;
        double z = column[(long long)v * N];
        if (at == V || z > top || z != z) { top = z; at = v; }
        if (z != z) break;
    }
    shared[thread] = top;
    places[thread] = at;
    for (int half = 64; half > 0; half /= 2) {
        __syncthreads();
        if (thread < half && places[thread + half] < V) {
            double mine = shared[thread], other = shared[thread + half];
            int here = places[thread], there = places[thread + half];
            bool take = here == V || other > mine || (other == mine && there < here);
            if (mine == mine && (take || other != other)) {
                shared[thread] = other;
                places[thread] = there;
            }
        }
    }
    __syncthreads();
    top = shared[0];
    *place = places[0];
    __syncthreads();
    return top;
}

extern "C" __global__ void temper(
    const real* logits, int V, int N, double temperature, double least, int unknown, double* weights
) {
    __shared__ double shared[128];
    __shared__ int places[128];
    const real* column = logits + blockIdx.x;
    double* row = weights + (long long)blockIdx.x * V;
    int place;
    double top = largest(column, V, N, unknown, shared, places, &place);
    for (int v = threadIdx.x; v < V; v += 128) {
        double z = column[(long long)v * N] - top, p;
        if (z != z && v != unknown) p = z;
        else if (v == unknown) p = top == top ? 0 : top;
        else if (temperature == 0) p = v == place ? 1 : 0;
        else p = exp(z / temperature);
        row[v] = p < least ? 0 : p;
    }
}

extern "C" __global__ void choose(
    const double* weights, const double* uniforms, int V, long long* ids
) {
    __shared__ double sums[129];
    __shared__ int found[128], last[128];
    const double* row = weights + (long long)blockIdx.x * V;
    int thread = threadIdx.x, each = (V + 127) / 128;
    int from = thread * each, to = from + each < V ? from + each : V;
    double sum = 0;
    for (int v = from; v < to; ++v) sum += row[v];
    sums[thread + 1] = sum;
    __syncthreads();
    if (thread == 0) {
        sums[0] = 0;
        for (int i = 0; i < 128; ++i) sums[i + 1] += sums[i];
    }
    __syncthreads();
    double total = sums[128], goal = total * uniforms[blockIdx.x], so_far = sums[thread];
    int mine = V, end = -1;
    for (int v = from; v < to; ++v) {
        so_far += row[v];
        if (row[v] > 0) end = v;
        if (row[v] > 0 && so_far > goal && mine == V) mine = v;
    }
    found[thread] = mine;
    last[thread] = end;
    __syncthreads();
    if (thread > 0) return;
    for (int i = 1; i < 128; ++i) {
        if (found[i] < mine) mine = found[i];
        if (last[i] > end) end = last[i];
    }
    if (!(total <= 1.7e308)) mine = -1;  // NaN or infinite
    else if (mine == V) mine = end;  // by rounding, the sum ended below the threshold
    ids[blockIdx.x] = mine;
}

extern "C" __global__ void log_p(
    const real* logits, const long long* ids, int V, int N, double* out
) {
    __shared__ double shared[128];
    __shared__ int places[128];
    const real* column = logits + blockIdx.x;
    int place;
    double top = largest(column, V, N, -1, shared, places, &place), sum = 0;
    for (int v = threadIdx.x; v < V; v += 128) sum += exp(column[(long long)v * N] - top);
    sum = block_sum(sum, shared, threadIdx.x, 128);
    if (threadIdx.x == 0)
        out[blockIdx.x] = column[ids[blockIdx.x] * N] - top - log(sum);
}

// Philox4x64-10 (Salmon et al. 2011).

// Block number `block` of a stream: 256 bits, lowest first.
__device__ __forceinline__ void philox(
    u64 block, u64 layer, u64 step, u64 seed, u64 purpose, u64* x
) {
    x[0] = block; x[1] = 0; x[2] = layer; x[3] = step;
    for (int round = 0; round < 10; ++round) {
        u64 low0 = 0xD2E7470EE14C6C93ULL * x[0], high0 = __umul64hi(0xD2E7470EE14C6C93ULL, x[0]);
        u64 low1 = 0xCA5A826395121157ULL * x[2], high1 = __umul64hi(0xCA5A826395121157ULL, x[2]);
        x[0] = high1 ^ x[1] ^ seed;
        x[1] = low1;
        x[2] = high0 ^ x[3] ^ purpose;
        x[3] = low0;
        seed += 0x9E3779B97F4A7C15ULL;
        purpose += 0xBB67AE8584CAA73BULL;
    }
}

#include "philox.cuh"

// One thread computes the mask of 8 elements from one block of bits.
extern "C" __global__ void dropout(
    real* mask, long long size, u64 layer, u64 step, u64 seed, u64 purpose,
    u32 threshold, real scale
) {
    for (long long block = first(); 8 * block < size; block += stride()) {
        u64 bits[4];
        philox(block, layer, step, seed, purpose, bits);
        for (int j = 0; j < 8; ++j) {
            long long i = 8 * block + j;
            if (i >= size) break;
            u32 word = (u32)(bits[j / 2] >> (32 * (j % 2)));
            mask[i] = word >= threshold ? scale : (real)0;
        }
    }
}

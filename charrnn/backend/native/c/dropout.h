// Dropout masks: Philox4x64-10 (charrnn/randomness.py), as charrnn/model/dropout.py defines them.
#ifndef CHARRNN_DROPOUT_H
#define CHARRNN_DROPOUT_H

#include "pool.h"

// Element (t, h, n) of a mask (T, H, N) uses the 32-bit word t·H·N + h·N + n.
typedef struct {
    int64_t T, H, N;
    int64_t each_t, each_h, each_n; // distances of elements in memory
    uint64_t layer, step, seed, purpose, threshold;
    float scale;
    float *out;
} dropout_job;

INLINE void philox(uint64_t block, const dropout_job *w, uint64_t *x)
{
    uint64_t key0 = w->seed, key1 = w->purpose;
    x[0] = block;
    x[1] = 0;
    x[2] = w->layer;
    x[3] = w->step;
    for (int round = 0; round < 10; round++) {
        unsigned __int128 a = (unsigned __int128)x[0] * 0xD2E7470EE14C6C93ull;
        unsigned __int128 b = (unsigned __int128)x[2] * 0xCA5A826395121157ull;
        x[0] = (uint64_t)(b >> 64) ^ x[1] ^ key0;
        x[2] = (uint64_t)(a >> 64) ^ x[3] ^ key1;
        x[1] = (uint64_t)b;
        x[3] = (uint64_t)a;
        key0 += 0x9E3779B97F4A7C15ull;
        key1 += 0xBB67AE8584CAA73Bull;
    }
}

static void dropout_share(void *context, int share, int shares)
{
    const dropout_job *w = context;
    long H = w->H, N = w->N, count = w->T * H * N;
    long first = part(count, 8, share, shares), last = part(count, 8, share + 1, shares);
    long t = first / (H * N), h = first / N % H, n = first % N;
    for (long i = first; i < last; i += 8) {
        uint64_t x[4];
        philox((uint64_t)i / 8, w, x);
        for (long k = 0; k < 8 && i + k < last; k++) {
            uint64_t word = x[k / 2] >> (k % 2 * 32) & 0xFFFFFFFFull;
            w->out[t * w->each_t + h * w->each_h + n * w->each_n] = word >= w->threshold ? w->scale : 0.0f;
            if (++n < N) continue;
            n = 0;
            if (++h < H) continue;
            h = 0;
            t++;
        }
    }
}

#endif

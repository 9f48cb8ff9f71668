// What counted n-grams say of the next symbol (equations: charrnn/model/counted).
#ifndef CHARRNN_COUNTED_H
#define CHARRNN_COUNTED_H

#include "elementary.h"
#include "pool.h"

#define LONGEST 6 // symbols of a context

typedef struct {
    int64_t V, contexts;
    const uint64_t *keys;   // (contexts), sorted
    const double *left;     // (contexts)
    const int64_t *begins;  // (contexts + 1): where the n-grams of each context begin
    const int64_t *symbols; // the last symbol of each n-gram
    const double *p;        // and its part of q
    const double *alone;    // (V): q without a context
    const double *pairs;    // (V, V): q after one symbol; or null
    double share;
} counted_tables;

// The key of the last k symbols, given the sum of their products with powers of FACTOR
INLINE uint64_t key_of(uint64_t sum, long k)
{
    uint64_t x = sum + (uint64_t)k;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x9E3779B97F4A7C15u;
    return (x >> 16) | 1;
}

// Where a key stands among the sorted ones, or -1
INLINE long place_of(const counted_tables *w, uint64_t key)
{
    long low = 0, high = w->contexts;
    while (low < high) {
        long middle = (low + high) / 2;
        if (w->keys[middle] < key) low = middle + 1;
        else high = middle;
    }
    return low < w->contexts && w->keys[low] == key ? low : -1;
}

// Numbers of V doubles, and of so many floats, in whole vectors
#define WIDE(V) padded(V, VL)

// Writes share · ln q to out (V). `recent` (LONGEST) are the last symbols + 1, the latest first, 0 where
// there was none; q is room for WIDE(V) numbers.
INLINE void log_q(const counted_tables *w, const uint64_t *recent, double *q, float *out)
{
    long V = w->V, paired = w->pairs && recent[0];
    uint64_t sum = 0, power = 1;
    memcpy(q, paired ? w->pairs + (long)(recent[0] - 1) * V : w->alone, (size_t)V * sizeof(double));
    for (long k = 0; k < LONGEST && recent[k]; k++) {
        sum += recent[k] * power;
        power *= 0x9E3779B97F4A7C15u;
        long c = k < paired ? -1 : place_of(w, key_of(sum, k + 1));
        if (c < 0) continue;
        for (long v = 0; v < V; v++) q[v] *= w->left[c];
        for (long i = w->begins[c]; i < w->begins[c + 1]; i++) q[w->symbols[i]] += w->p[i];
    }
    for (long v = V; v < WIDE(V); v++) q[v] = 1.0;
    for (long v = 0; v < WIDE(V); v += VL / 2) *(vd *)(q + v) = logarithm_d(*(const vd *)(q + v)) * w->share;
    for (long v = 0; v < V; v++) out[v] = (float)q[v];
}

// The same after each of T steps of N streams
typedef struct {
    const counted_tables *tables;
    int64_t T, N;
    const int64_t *read; // (LONGEST - 1 + T, N): symbols + 1, or 0
    float *out;          // (T, N, V)
} counted_job;

static void counted_share(void *context, int share, int shares)
{
    const counted_job *w = context;
    long N = w->N, V = w->tables->V, last = part(w->T * N, 1, share + 1, shares);
    double *q = (double *)scratch((size_t)WIDE(V) * 2);
    for (long row = part(w->T * N, 1, share, shares); row < last; row++) {
        uint64_t recent[LONGEST];
        for (long k = 0; k < LONGEST; k++) recent[k] = (uint64_t)w->read[row + (LONGEST - 1 - k) * N];
        log_q(w->tables, recent, q, w->out + row * V);
    }
}

// The logits z (V) of stream n mixed with what the n-grams say, once it has read `symbol`. `read` holds the
// LONGEST - 1 symbols + 1 before that, (LONGEST - 1, N), the latest last; afterwards it ends with it.
INLINE void mix_counted(const counted_tables *w, float *read, long n, long N, long symbol, float *z)
{
    long V = w->V;
    double *q = (double *)scratch((size_t)WIDE(V) * 3);
    float *added = (float *)(q + WIDE(V)), kept = (float)(1.0 - w->share);
    uint64_t recent[LONGEST] = {(uint64_t)symbol + 1};
    for (long k = 1; k < LONGEST; k++) recent[k] = (uint64_t)read[(LONGEST - 1 - k) * N + n];
    for (long k = 0; k < LONGEST - 1; k++) read[(LONGEST - 2 - k) * N + n] = (float)recent[k];
    log_q(w, recent, q, added);
    for (long v = 0; v < V; v++) z[v] = z[v] * kept + added[v];
}

#endif

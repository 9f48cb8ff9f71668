// The update of a flat vector of parameters (equations: charrnn/train/optimizers). In the optimizers
// nothing is fused and operations are in the order of the plain definitions, so their bits are those
// of NumPy. They set `broken` if something that they write is not finite. The sum of squares is fused.
#ifndef CHARRNN_UPDATE_H
#define CHARRNN_UPDATE_H

#include "pool.h"

// Adds 0 for each finite number and NaN for any other.
INLINE void inspect(vf *sum, vf written) { *sum += written - written; }

INLINE void tell(const vf *sum, int64_t *broken)
{
    for (int k = 0; k < VL; k++)
        if ((*sum)[k] != 0.0f) __atomic_store_n(broken, 1, __ATOMIC_RELAXED);
}

typedef struct {
    int64_t count;
    float *w, *g, *m, *v;
    float scale, decay, kept, rate, root, keep1, keep2, epsilon; // keep = 1 - β
    int64_t broken;
} adam_job;

// Reads some weights and gradients, updates the moments, and returns the direction m / (√v root + ε).
INLINE vf adam_direction(const adam_job *a, long i, long some, vf *w, vf *g, vf *m, vf *seen)
{
    *w = load_some(a->w + i, some);
    *g = load_some(a->g + i, some) * splat(a->scale);
    *m = load_some(a->m + i, some);
    vf v = load_some(a->v + i, some);
    if (a->decay != 0.0f) *g = *g + *w * splat(a->decay);
    if (a->kept != 1.0f) *w = *w * splat(a->kept);
    *m = *m + (*g - *m) * splat(a->keep1);
    v = v + (*g * *g - v) * splat(a->keep2);
    store_some(a->m + i, *m, some);
    store_some(a->v + i, v, some);
    inspect(seen, *m + v);
    return *m / (root(v) * splat(a->root) + splat(a->epsilon));
}

static void adam_share(void *context, int share, int shares)
{
    adam_job *a = context;
    vf seen = splat(0.0f);
    long first = part(a->count, VL, share, shares), last = part(a->count, VL, share + 1, shares);
    for (long i = first; i < last; i += VL) {
        vf w, g, m, u = adam_direction(a, i, last - i, &w, &g, &m, &seen);
        w = w - u * splat(a->rate);
        store_some(a->w + i, w, last - i);
        inspect(&seen, w);
    }
    tell(&seen, &a->broken);
}

// The direction takes the place of g; it is 0 where m and g do not agree. `rate` is not used.
static void direct_share(void *context, int share, int shares)
{
    adam_job *a = context;
    vf seen = splat(0.0f);
    long first = part(a->count, VL, share, shares), last = part(a->count, VL, share + 1, shares);
    for (long i = first; i < last; i += VL) {
        vf w, g, m, u = adam_direction(a, i, last - i, &w, &g, &m, &seen);
        if (a->kept != 1.0f) store_some(a->w + i, w, last - i);
        store_some(a->g + i, u * choose(m * g > splat(0.0f), splat(1.0f), splat(0.0f)), last - i);
    }
    tell(&seen, &a->broken);
}

// w -= rate u
typedef struct {
    int64_t count;
    float *w;
    const float *u;
    float rate;
    int64_t broken;
} move_job;

static void move_share(void *context, int share, int shares)
{
    move_job *a = context;
    vf seen = splat(0.0f);
    long first = part(a->count, VL, share, shares), last = part(a->count, VL, share + 1, shares);
    for (long i = first; i < last; i += VL) {
        vf w = load_some(a->w + i, last - i) - load_some(a->u + i, last - i) * splat(a->rate);
        store_some(a->w + i, w, last - i);
        inspect(&seen, w);
    }
    tell(&seen, &a->broken);
}

typedef struct {
    int64_t count;
    float *w, *g, *u;
    float scale, decay, lr, momentum;
    int64_t broken;
} sgd_job;

static void sgd_share(void *context, int share, int shares)
{
    sgd_job *a = context;
    vf seen = splat(0.0f);
    long first = part(a->count, VL, share, shares), last = part(a->count, VL, share + 1, shares);
    for (long i = first; i < last; i += VL) {
        long some = last - i;
        vf w = load_some(a->w + i, some), g = load_some(a->g + i, some) * splat(a->scale), u = load_some(a->u + i, some);
        if (a->decay != 0.0f) g = g + w * splat(a->decay);
        u = u * splat(a->momentum) + g;
        w = w - u * splat(a->lr);
        store_some(a->u + i, u, some);
        store_some(a->w + i, w, some);
        inspect(&seen, w + u);
    }
    tell(&seen, &a->broken);
}

typedef struct {
    int64_t count;
    float *w, *g, *v;
    float scale, decay, lr, alpha, keep, epsilon; // keep = 1 - α
    int64_t broken;
} rmsprop_job;

static void rmsprop_share(void *context, int share, int shares)
{
    rmsprop_job *a = context;
    vf seen = splat(0.0f);
    long first = part(a->count, VL, share, shares), last = part(a->count, VL, share + 1, shares);
    for (long i = first; i < last; i += VL) {
        long some = last - i;
        vf w = load_some(a->w + i, some), g = load_some(a->g + i, some) * splat(a->scale), v = load_some(a->v + i, some);
        if (a->decay != 0.0f) g = g + w * splat(a->decay);
        v = v * splat(a->alpha) + g * g * splat(a->keep);
        w = w - g / (root(v) + splat(a->epsilon)) * splat(a->lr);
        store_some(a->v + i, v, some);
        store_some(a->w + i, w, some);
        inspect(&seen, w + v);
    }
    tell(&seen, &a->broken);
}

typedef struct {
    int64_t count;
    const float *g;
    int64_t block; // elements whose squares are summed in float
    double total;
    double *sums; // one for each block
} squares_job;

static void squares_share(void *context, int share, int shares)
{
    enum { lanes = 32, vectors = lanes / VL };
    const squares_job *w = context;
    long blocks = (w->count + w->block - 1) / w->block;
    for (long b = blocks * share / shares; b < blocks * (share + 1) / shares; b++) {
        vf sums[vectors];
        const float *g = w->g + b * w->block;
        long count = least(w->block, w->count - b * w->block), i = 0;
        for (int k = 0; k < vectors; k++) sums[k] = splat(0.0f);
        for (; i + lanes <= count; i += lanes)
            UNROLL for (int k = 0; k < vectors; k++) {
                vf a = load(g + i + k * VL);
                sums[k] = fma_(a, a, sums[k]);
            }
        for (int k = 0; k < vectors; k++)
            if (count - i > k * VL) {
                vf a = load_some(g + i + k * VL, count - i - k * VL);
                sums[k] = fma_(a, a, sums[k]);
            }
        double sum = 0.0;
        for (int k = 0; k < lanes; k++) sum += sums[k / VL][k % VL];
        w->sums[b] = sum;
    }
}

// total = Σ g²
static void squares(int threads, squares_job *w)
{
    long blocks = (w->count + w->block - 1) / w->block;
    w->sums = (double *)scratch((size_t)blocks * 2);
    run(threads, squares_share, w);
    w->total = 0.0;
    for (long b = 0; b < blocks; b++) w->total += w->sums[b];
}

#endif

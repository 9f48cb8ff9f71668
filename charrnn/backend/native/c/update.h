// The update of a flat vector of parameters (equations: charrnn/train/optimizers). In the optimizers
// nothing is fused and operations are in the order of the plain definitions, so their bits are those
// of NumPy. The sum of squares is fused.
#ifndef CHARRNN_UPDATE_H
#define CHARRNN_UPDATE_H

#include "pool.h"

typedef struct {
    int64_t count;
    float *w, *g, *m, *v;
    float scale, decay, kept, rate, root, keep1, keep2, epsilon; // keep = 1 - β
} adam_job;

// Reads some weights and gradients, updates the moments, and returns the direction m / (√v root + ε).
INLINE vf adam_direction(const adam_job *a, long i, long some, vf *w, vf *g, vf *m)
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
    return *m / (root(v) * splat(a->root) + splat(a->epsilon));
}

static void adam_share(void *context, int share, int shares)
{
    const adam_job *a = context;
    long first = part(a->count, VL, share, shares), last = part(a->count, VL, share + 1, shares);
    for (long i = first; i < last; i += VL) {
        vf w, g, m, u = adam_direction(a, i, last - i, &w, &g, &m);
        store_some(a->w + i, w - u * splat(a->rate), last - i);
    }
}

// The direction takes the place of g; it is 0 where m and g do not agree. `rate` is not used.
static void direct_share(void *context, int share, int shares)
{
    const adam_job *a = context;
    long first = part(a->count, VL, share, shares), last = part(a->count, VL, share + 1, shares);
    for (long i = first; i < last; i += VL) {
        vf w, g, m, u = adam_direction(a, i, last - i, &w, &g, &m);
        if (a->kept != 1.0f) store_some(a->w + i, w, last - i);
        store_some(a->g + i, u * choose(m * g > splat(0.0f), splat(1.0f), splat(0.0f)), last - i);
    }
}

// w -= rate u
typedef struct {
    int64_t count;
    float *w;
    const float *u;
    float rate;
} move_job;

static void move_share(void *context, int share, int shares)
{
    const move_job *a = context;
    long first = part(a->count, VL, share, shares), last = part(a->count, VL, share + 1, shares);
    for (long i = first; i < last; i += VL)
        store_some(a->w + i, load_some(a->w + i, last - i) - load_some(a->u + i, last - i) * splat(a->rate), last - i);
}

typedef struct {
    int64_t count;
    float *w, *g, *u;
    float scale, decay, lr, momentum;
} sgd_job;

static void sgd_share(void *context, int share, int shares)
{
    const sgd_job *a = context;
    long first = part(a->count, VL, share, shares), last = part(a->count, VL, share + 1, shares);
    for (long i = first; i < last; i += VL) {
        long some = last - i;
        vf w = load_some(a->w + i, some), g = load_some(a->g + i, some) * splat(a->scale), u = load_some(a->u + i, some);
        if (a->decay != 0.0f) g = g + w * splat(a->decay);
        u = u * splat(a->momentum) + g;
        store_some(a->u + i, u, some);
        store_some(a->w + i, w - u * splat(a->lr), some);
    }
}

typedef struct {
    int64_t count;
    float *w, *g, *v;
    float scale, decay, lr, alpha, keep, epsilon; // keep = 1 - α
} rmsprop_job;

static void rmsprop_share(void *context, int share, int shares)
{
    const rmsprop_job *a = context;
    long first = part(a->count, VL, share, shares), last = part(a->count, VL, share + 1, shares);
    for (long i = first; i < last; i += VL) {
        long some = last - i;
        vf w = load_some(a->w + i, some), g = load_some(a->g + i, some) * splat(a->scale), v = load_some(a->v + i, some);
        if (a->decay != 0.0f) g = g + w * splat(a->decay);
        v = v * splat(a->alpha) + g * g * splat(a->keep);
        store_some(a->v + i, v, some);
        store_some(a->w + i, w - g / (root(v) + splat(a->epsilon)) * splat(a->lr), some);
    }
}

typedef struct {
    int64_t count;
    const float *g;
    int64_t block; // elements whose squares are summed in float
    double *sums;  // one for each block
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

#endif

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

static void adam_share(void *context, int share, int shares)
{
    const adam_job *a = context;
    long first = part(a->count, VL, share, shares), last = part(a->count, VL, share + 1, shares);
    for (long i = first; i < last; i += VL) {
        long some = last - i;
        vf w = load_some(a->w + i, some), g = load_some(a->g + i, some) * splat(a->scale);
        vf m = load_some(a->m + i, some), v = load_some(a->v + i, some);
        if (a->decay != 0.0f) g = g + w * splat(a->decay);
        if (a->kept != 1.0f) w = w * splat(a->kept);
        m = m + (g - m) * splat(a->keep1);
        v = v + (g * g - v) * splat(a->keep2);
        w = w - m / (root(v) * splat(a->root) + splat(a->epsilon)) * splat(a->rate);
        store_some(a->m + i, m, some);
        store_some(a->v + i, v, some);
        store_some(a->w + i, w, some);
    }
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

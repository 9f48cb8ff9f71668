// One symbol of each stream through all layers: what sampling does at every step.
#ifndef CHARRNN_SAMPLE_H
#define CHARRNN_SAMPLE_H

#include "counted.h"
#include "products.h"
#include "recurrence.h"

typedef struct {
    int64_t layers, N, H, V, D;   // D: of the bottom layer's input, if it is dense
    int64_t gates, width, offset; // input products of `gates` units, at `offset` in a row of `width`
    layer *const *layer;          // the state before the step is at index 0, and so it is afterwards
    const float *const *ih;       // panels of each layer's input matrix; null if it reads symbols
    share_fn *forward;            // the cell's
    const float *embedding;       // (V, D), each symbol's input to the bottom layer, if it is dense
    float *embedded;              // (N, D), room for that input
    const float *decoder, *bias;  // panels (K = H), and (V)
    int32_t *ids;                 // (N), the symbols that are read
    float *logits;                // (N, V), of the symbols that follow
    const counted_tables *counted; // n-grams with which the logits are mixed; or null
    float *read;                   // and the symbols before `ids`: see mix_counted
} sample_job;

// Streams [first, first + count): those of one share. If threads > 1 it is the only share, and they divide
// the units of every product.
typedef struct {
    int share, shares, threads;
    long first, count;
} group;

INLINE group group_of(const sample_job *w, int share, int shares, int threads)
{
    long first = w->N * share / shares;
    return (group){share, shares, threads, first, w->N * (share + 1) / shares - first};
}

// The shares of N streams for so many threads, none of which then waits for another; 1 if there are too few.
INLINE int shares_of(long N, int threads) { return N >= threads * FEW_STREAMS ? threads : 1; }

// f of the group's share, or divided among its threads
INLINE void among(group s, share_fn *f, void *context)
{
    if (s.threads > 1) run(s.threads, f, context);
    else f(context, s.share, s.shares);
}

// The rows of `product` are the group's own.
INLINE void product_among(group s, rows_job *product)
{
    among((group){0, 1, s.threads, 0, s.count}, rows_share, product);
}

static void sample_group(const sample_job *w, group s)
{
    const float *below = w->embedded;
    long deep = w->D, states = w->N * w->H, first = s.first * w->H;
    size_t size = (size_t)(s.count * w->H) * sizeof(float);
    for (long n = s.first; w->embedding && n < s.first + s.count; n++) memcpy(w->embedded + n * deep, w->embedding + w->ids[n] * deep, (size_t)deep * sizeof(float));
    for (long k = 0; k < w->layers; k++, deep = w->H) {
        layer *l = w->layer[k];
        rows_job product = {s.count, deep, w->gates * w->H, w->ih[k], below + s.first * deep, deep, l->work + s.first * w->width + w->offset, w->width};
        if (product.panels) product_among(s, &product);
        among(s, w->forward, l);
        memcpy(l->h + first, l->h + states + first, size);
        if (l->c) memcpy(l->c + first, l->c + states + first, size);
        below = l->h;
    }
    rows_job output = {s.count, w->H, w->V, w->decoder, below + first, w->H, w->logits + s.first * w->V, w->V};
    product_among(s, &output);
    for (long n = s.first; n < s.first + s.count; n++) {
        float *z = w->logits + n * w->V;
        for (long v = 0; v < w->V; v += VL) store_some(z + v, load_some(z + v, w->V - v) + load_some(w->bias + v, w->V - v), w->V - v);
        if (w->counted) mix_counted(w->counted, w->read, n, w->N, w->ids[n], z);
    }
}

typedef struct {
    const sample_job *model;
    int threads; // of each share
} sampling;

static void sample_share(void *context, int share, int shares)
{
    const sampling *w = context;
    sample_group(w->model, group_of(w->model, share, shares, w->threads));
}

static void sample(int threads, sample_job *w)
{
    int shares = shares_of(w->N, threads);
    sampling all = {w, threads / shares};
    run(shares, sample_share, &all);
}

#endif

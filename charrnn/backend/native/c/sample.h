// One symbol of each stream through all layers: what sampling does at every step.
#ifndef CHARRNN_SAMPLE_H
#define CHARRNN_SAMPLE_H

#include "products.h"
#include "recurrence.h"

typedef void layer_fn(int threads, layer *work);

typedef struct {
    int64_t layers, N, H, V, D;   // D: of the bottom layer's input, if it is dense
    int64_t gates, width, offset; // input products of `gates` units, at `offset` in a row of `width`
    layer *const *layer;          // the state before the step is at index 0, and so it is afterwards
    const float *const *ih;       // panels of each layer's input matrix; null if it reads symbols
    layer_fn *forward;            // the cell's
    const float *embedding;       // (V, D), each symbol's input to the bottom layer, if it is dense
    float *embedded;              // (N, D), room for that input
    const float *decoder, *bias;  // panels (K = H), and (V)
    int32_t *ids;                 // (N), the symbols that are read
    float *logits;                // (N, V), of the symbols that follow
} sample_job;

static void sample(int threads, sample_job *w)
{
    const float *below = w->embedded;
    long deep = w->D, states = w->N * w->H;
    for (long n = 0; w->embedding && n < w->N; n++) memcpy(w->embedded + n * deep, w->embedding + w->ids[n] * deep, (size_t)deep * sizeof(float));
    for (long k = 0; k < w->layers; k++, deep = w->H) {
        layer *l = w->layer[k];
        rows_job product = {w->N, deep, w->gates * w->H, w->ih[k], below, deep, l->work + w->offset, w->width};
        if (product.panels) run(threads, rows_share, &product);
        w->forward(threads, l);
        memcpy(l->h, l->h + states, (size_t)states * sizeof(float));
        if (l->c) memcpy(l->c, l->c + states, (size_t)states * sizeof(float));
        below = l->h;
    }
    rows_job output = {w->N, w->H, w->V, w->decoder, below, w->H, w->logits, w->V};
    run(threads, rows_share, &output);
    for (long n = 0; n < w->N; n++)
        for (long v = 0; v < w->V; v += VL) {
            float *z = w->logits + n * w->V + v;
            store_some(z, load_some(z, w->V - v) + load_some(w->bias + v, w->V - v), w->V - v);
        }
}

#endif

// One symbol of each stream through all layers: what sampling does.
#ifndef CHARRNN_SAMPLE_H
#define CHARRNN_SAMPLE_H

#include "products.h"
#include "recurrence.h"

typedef struct {
    int64_t layers, streams, H, V, input; // input: where a layer's input products begin in a row
    int64_t rows;                         // of a row of `work`
    int64_t gates;                        // of the input products
    layer *const *layer;                  // their states before the step are at index 0
    const float *const *ih;               // panels of each layer's input matrix; null: symbols
    share_fn *const *forward;             // the cell's
    const float *embedded;                // (N, D), the bottom layer's input, if it is dense
    int64_t D;
    const float *decoder, *bias;
    float *logits; // (N, V)
} sample_job;

static void sample_share(void *context, int share, int shares)
{
    const sample_job *w = context;
    const float *below = w->embedded;
    long H = w->H, N = w->streams, deep = w->D;
    (void)share;
    (void)shares;
    for (long k = 0; k < w->layers; k++) {
        layer *l = w->layer[k];
        if (w->ih[k]) {
            rows_job product = {N, deep, w->gates * H, w->ih[k], below, deep, l->work + w->input, w->rows};
            rows_share(&product, 0, 1);
        }
        w->forward[k](l, 0, 1);
        memcpy(l->h, l->h + N * H, (size_t)(N * H) * sizeof(float));
        if (l->c) memcpy(l->c, l->c + N * H, (size_t)(N * H) * sizeof(float));
        below = l->h;
        deep = H;
    }
    rows_job output = {N, H, w->V, w->decoder, below, H, w->logits, w->V};
    rows_share(&output, 0, 1);
    for (long n = 0; n < N; n++)
        for (long v = 0; v < w->V; v += VL) {
            float *z = w->logits + n * w->V + v;
            store_some(z, load_some(z, w->V - v) + load_some(w->bias + v, w->V - v), w->V - v);
        }
}

#endif

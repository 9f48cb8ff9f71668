// Softmax cross-entropy of many rows (equations: charrnn/model/head.py).
#ifndef CHARRNN_LOSS_H
#define CHARRNN_LOSS_H

#include "elementary.h"
#include "products.h"

#define LANES 32 // partial sums, whatever VL is

// The logits are top (rows, H) times the decoder, plus the bias, and if others are `added`, `kept` times
// that plus those. Writes -ln p[target] to nats and, if
// d_top is given, the gradients of `scale` times the sum of nats, with respect to logits and top.
typedef struct {
    int64_t rows, H, V;
    const float *top;
    int64_t top_ld;
    const float *forth; // panels of the decoder's rows, K = H
    const float *back;  // panels of its columns, K = V
    const float *bias;
    const int32_t *targets;
    double scale;
    double *nats;    // (rows)
    float *d_logits; // (rows, V)
    float *d_top;    // (rows, H)
    const float *added; // (rows, V)
    float kept;
} loss_job;

// z (V) becomes e^(z - max); returns their sum and stores the maximum in `top`. z is padded to a multiple
// of LANES floats.
INLINE float exponentials(float *z, long V, float *top)
{
    float most = -HUGE_VALF;
    for (long v = V; v < padded(V, LANES); v++) z[v] = -HUGE_VALF;
    vf high = splat(-HUGE_VALF);
    for (long v = 0; v < V; v += VL) {
        vf a = load(z + v);
        high = choose(high > a, high, a); // a NaN may be lost here: the sum below keeps it
    }
    for (int i = 0; i < VL; i++) most = high[i] > most ? high[i] : most;
    vf sums[LANES / VL];
    for (int i = 0; i < LANES / VL; i++) sums[i] = splat(0.0f);
    for (long v = 0; v < V; v += LANES) {
        vf a[LANES / VL], e[LANES / VL];
        UNROLL for (int i = 0; i < LANES / VL; i++) e[i] = (a[i] = load(z + v + i * VL)) - splat(most);
        exponential(LANES / VL, e);
        UNROLL for (int i = 0; i < LANES / VL; i++) {
            e[i] = choose(a[i] == splat(-HUGE_VALF), splat(0.0f), e[i]);
            store(z + v + i * VL, e[i]);
            sums[i] += e[i];
        }
    }
    float sum = 0.0f;
    for (int i = 0; i < LANES; i++) sum += sums[i / VL][i % VL];
    *top = most;
    return sum;
}

static void loss_share(void *context, int share, int shares)
{
    const loss_job *w = context;
    long H = w->H, V = w->V, ld = padded(V, LANES), deep = PLACES(H > V ? H : V);
    long first = part(w->rows, COLUMNS, share, shares), last = part(w->rows, COLUMNS, share + 1, shares);
    float *operand = scratch((size_t)(OPERAND(deep, ROWS) + PAIR * ROWS + ROWS * ld)), *room = operand + OPERAND(deep, ROWS);
    float *logits = room + PAIR * ROWS;
    for (long row = first; row < last; row += ROWS) {
        long some = least(ROWS, last - row);
        pack_rows(some, H, w->top + row * w->top_ld, w->top_ld, operand, STRIDE(PLACES(H), ROWS));
        for (long m = 0; m < V; m += PAIR) edge_product(PLACES(H), w->forth + m * PLACES(H), operand, STRIDE(PLACES(H), ROWS), some, logits + m, ld, V - m, 0, room);
        for (long j = 0; j < some; j++) {
            float *z = logits + j * ld, top;
            long target = w->targets[row + j];
            for (long v = 0; v < V; v += VL) store_some(z + v, load_some(z + v, V - v) + load_some(w->bias + v, V - v), V - v);
            for (long v = 0; w->added && v < V; v += VL)
                store_some(z + v, load_some(z + v, V - v) * splat(w->kept) + load_some(w->added + (row + j) * V + v, V - v), V - v);
            float hit = z[target], sum = exponentials(z, V, &top);
            w->nats[row + j] = logarithm(sum) - ((double)hit - top);
            if (!w->d_top) continue;
            float factor = (float)(w->scale / sum);
            for (long v = 0; v < V; v += VL) store_some(z + v, load_some(z + v, V - v) * splat(factor), V - v);
            z[target] -= (float)w->scale;
            memcpy(w->d_logits + (row + j) * V, z, (size_t)V * sizeof(float));
        }
        if (!w->d_top) continue;
        pack_rows(some, V, logits, ld, operand, STRIDE(PLACES(V), ROWS));
        for (long m = 0; m < H; m += PAIR)
            edge_product(PLACES(V), w->back + m * PLACES(V), operand, STRIDE(PLACES(V), ROWS), some, w->d_top + row * H + m, H, H - m, 0, room);
    }
}

#endif

// Softmax cross-entropy of many rows (equations: charrnn/model/head.py).
#ifndef CHARRNN_LOSS_H
#define CHARRNN_LOSS_H

#include "elementary.h"
#include "products.h"

#define LANES 32 // partial sums, whatever VL is
#define VECTORS (LANES / VL) // that hold them

// The logits are top (rows, H) times the decoder, plus the bias, and if others are `added`, `kept` times
// that plus those. Writes -ln p[target] to nats and, if d_top is given, the gradients of `scale` times the
// sum of nats, with respect to logits and top.
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

// Adds the bias and what is `added` to a row of logits z (V), and pads it to a multiple of LANES with -inf;
// returns the maxima of its elements at equal places of a vector. No NaN is among them: the sum below keeps it.
INLINE vf finish(const loss_job *w, long row, float *z)
{
    const vf none = splat(-HUGE_VALF);
    vf high = none;
    for (long v = padded(w->V, VL); v < padded(w->V, LANES); v += VL) store(z + v, none);
    for (long v = 0; v < w->V; v += VL) {
        long left = w->V - v;
        vf a = load_some(z + v, left) + load_some(w->bias + v, left);
        if (w->added) a = a * splat(w->kept) + load_some(w->added + row * w->V + v, left);
        a = keep_some(a, left, none);
        store(z + v, a);
        high = choose(a > high, a, high);
    }
    return high;
}

// z (V), padded, becomes e^(z - most); returns LANES partial sums, each a row of `sums`.
INLINE void exponentials(float *z, long V, float most, vf (*sums)[VL], int row)
{
    vf sum[VECTORS];
    for (int i = 0; i < VECTORS; i++) sum[i] = splat(0.0f);
    for (long v = 0; v < V; v += LANES) {
        vf e[VECTORS];
        vi none[VECTORS];
        UNROLL for (int i = 0; i < VECTORS; i++) {
            vf a = load(z + v + i * VL);
            none[i] = a == splat(-HUGE_VALF);
            e[i] = choose(none[i], splat(0.0f), a - splat(most)); // a power that underflows takes longer
        }
        for (int i = 0; i < VECTORS; i += TOGETHER) exponential((int)least(TOGETHER, VECTORS - i), e + i);
        UNROLL for (int i = 0; i < VECTORS; i++) {
            e[i] = choose(none[i], splat(0.0f), e[i]);
            store(z + v + i * VL, e[i]);
            sum[i] += e[i];
        }
    }
    UNROLL for (int i = 0; i < VECTORS; i++) sums[i][row] = sum[i];
}

// The nats of `count` rows of logits (VL at most), products so far, which become the gradients with respect
// to them. What is done once a row is done for all of them at a time, each in a lane of its own.
static void softmax(const loss_job *w, long row, long count, float *logits, long ld)
{
    vf high[VL] = {0}, sums[VECTORS][VL] = {0}, sum = splat(0.0f); // rows that are missing stay 0
    float hit[VL];
    double total[VL], log[VL];
    for (long j = 0; j < count; j++) {
        high[j] = finish(w, row + j, logits + j * ld);
        hit[j] = logits[j * ld + w->targets[row + j]];
    }
    vf most = maxima(high);
    for (long j = 0; j < count; j++) exponentials(logits + j * ld, w->V, most[j], sums, j);
    for (int i = 0; i < VECTORS; i++) {
        transpose(sums[i]);
        UNROLL for (int k = 0; k < VL; k++) sum += sums[i][k];
    }
    for (int j = 0; j < VL; j++) total[j] = sum[j];
    for (int j = 0; j < VL; j += VL / 2) *(vd *)(log + j) = logarithm_d(*(const vd *)(total + j));
    for (long j = 0; j < count; j++) {
        float *z = logits + j * ld;
        w->nats[row + j] = (total[j] > 0.0 ? log[j] : NAN) - ((double)hit[j] - most[j]);
        if (!w->d_top) continue;
        float factor = (float)(w->scale / total[j]), *out = w->d_logits + (row + j) * w->V;
        long target = w->targets[row + j];
        for (long v = 0; v < w->V; v += VL) {
            vf d = load(z + v) * splat(factor);
            store(z + v, d);
            store_some(out + v, d, w->V - v);
        }
        out[target] = z[target] -= (float)w->scale;
    }
}

// The sum of nats, added in order
typedef struct {
    int64_t rows;
    const double *nats;
    double sum;
} nats_job;

static void add_nats(nats_job *w)
{
    w->sum = 0.0;
    for (long row = 0; row < w->rows; row++) w->sum += w->nats[row];
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
        errands reads = {0}, writes = {0}; // of the products: the next rows of the outputs, and of their gradients
        long more = least(ROWS, last - row - some);
        fetch_rows(&reads, w->top + (row + some) * w->top_ld, more, w->top_ld, PLACES(H));
        if (w->d_top) fetch_rows(&writes, w->d_top + (row + some) * H, more, H, PLACES(V));
        pack_rows(some, H, w->top + row * w->top_ld, w->top_ld, operand, STRIDE(PLACES(H), ROWS));
        for (long m = 0; m < V; m += PAIR)
            edge_product(PLACES(H), w->forth + m * PLACES(H), 0, &reads, operand, STRIDE(PLACES(H), ROWS), some, logits + m, ld, V - m, 0, room);
        for (long j = 0; j < some; j += VL) softmax(w, row + j, least(VL, some - j), logits + j * ld, ld);
        if (!w->d_top) continue;
        pack_rows(some, V, logits, ld, operand, STRIDE(PLACES(V), ROWS));
        for (long m = 0; m < H; m += PAIR)
            edge_product(PLACES(V), w->back + m * PLACES(V), 0, &writes, operand, STRIDE(PLACES(V), ROWS), some, w->d_top + row * H + m, H, H - m, 0, room);
    }
}

#endif

// Common to all cells: one layer over a window of T steps, for a share of its N streams.
//
// Arrays hold a stream's features side by side: work (T, N, R·H), states (T + 1, N, H). The operand
// of a recurrent product has a vector for each stream (packing.h); the epilogue of a product writes
// that of the next. Units are handled PAIR at a time, streams CHUNK at a time.
#ifndef CHARRNN_RECURRENCE_H
#define CHARRNN_RECURRENCE_H

#include "elementary.h"
#include "pool.h"
#include "tile.h"

#define CHUNK 32 // streams of a product before its epilogue: they fit the first-level cache
#define FEW_STREAMS 8 // fewer are not worth a thread; STREAMS in charrnn/model/compiled/layers.py
#define GATE (PAIR * CHUNK) // floats of one gate's products

typedef struct {
    int64_t T, N, H;
    const float *forth;  // panels of the recurrent weights, [gate][H / PAIR][PLACES(H)][PAIR]
    const float *back;   // panels of their transpose, [H / PAIR][gates · PLACES(H)][PAIR]
    const float *table;  // (V, G·H), input product and bias of each symbol, if ids are given
    const int32_t *ids;  // (T, N), symbols; or null, if `work` holds the input products
    const float *bias;   // (G·H), added to those input products
    const float *extra;  // (H), a bias inside the recurrence, if the cell has one
    float *work;         // (T, N, R·H)
    float *h, *c;        // (T + 1, N, H)
    float *saved;        // (T, N, H)
    const float *d_out;  // (T, N, H), ∂L/∂h from above
    float *dh, *dc;      // (N, H), gradients of the states: after the window, then before it
    float *room;         // (N, H), scratch memory, if the cell needs it
    int64_t kind;        // the cell's variant
} layer;

// A share of a layer's work at step t: streams [first, first + count), blocks of units [block, blocks).
typedef struct {
    const layer *l;
    long H, t, first, count, block, blocks;
    long at;      // row of (T, N, ·) arrays
    float *next;  // the next product's operand
    long stride;  // of that operand
} step;

INLINE step share_of(const layer *l, int share, int shares)
{
    long first = l->N * share / shares, count = l->N * (share + 1) / shares - first;
    long blocks = (l->H + PAIR - 1) / PAIR;
    return (step){.l = l, .H = l->H, .first = first, .count = count, .blocks = blocks};
}

// The same; but a single step of few streams is divided by units.
INLINE step share_of_step(const layer *l, int share, int shares)
{
    if (l->T > 1 || l->N >= shares * FEW_STREAMS) return share_of(l, share, shares);
    step s = share_of(l, 0, 1);
    long blocks = s.blocks;
    s.block = blocks * share / shares;
    s.blocks = blocks * (share + 1) / shares;
    return s;
}

INLINE void at_step(step *s, long t)
{
    s->t = t;
    s->at = t * s->l->N + s->first;
}

// Handles units [u, u + width) of streams [n, n + streams); width and streams are at most VL. The
// products of gate g of stream n + j are at p[g GATE + j PAIR].
typedef void epilogue_fn(const step *s, const float *p, long u, long width, long n, long streams);

// What an epilogue touches: what is near, or what a forward or a backward pass has far away.
typedef enum { NEAR, FORTH, BACK } touched;

// Fetches units [u, u + PAIR) of `count` rows, `ld` floats from each other.
INLINE void expect(int writes, const float *rows, long ld, long count, long units)
{
    for (; count > 0; count--, rows += ld)
        for (long i = 0; i < units; i += LINE)
            if (writes) __builtin_prefetch(rows + i, 1);
            else __builtin_prefetch(rows + i);
}

// Fetches what the epilogue of some streams of a forward pass will write: units [u, u + PAIR) of `groups`
// groups of H features of `work`, and the states. A write that has to wait for its cache line holds up all
// writes behind it.
INLINE void expect_forth(const step *s, long groups, long u, long start, long some)
{
    const layer *l = s->l;
    long H = s->H, row = s->at + start, units = least(PAIR, H - u);
    for (long g = 0; g < groups; g++) expect(1, l->work + (row * groups + g) * H + u, groups * H, some, units);
    expect(1, l->h + (row + l->N) * H + u, H, some, units);
    if (l->c) expect(1, l->c + (row + l->N) * H + u, H, some, units);
    if (l->saved) expect(1, l->saved + row * H + u, H, some, units);
}

// The same of a backward pass, which reads what is outside of `work`: of the states those before the step.
// If that is `fetched`, errands have done so during the step handled before.
INLINE void expect_back(const step *s, int fetched, long groups, long u, long start, long some)
{
    const layer *l = s->l;
    long H = s->H, row = s->at + start, units = least(PAIR, H - u);
    for (long g = 0; g < groups; g++) expect(1, l->work + (row * groups + g) * H + u, groups * H, some, units);
    if (fetched) return;
    expect(0, l->d_out + row * H + u, H, some, units);
    expect(0, (l->c ? l->c : l->h) + row * H + u, H, some, units);
    if (l->saved) expect(0, l->saved + row * H + u, H, some, units);
}

// The errands of the products of a backward step: what the next step reads.
INLINE errands back_errands(const step *s, long groups, long places)
{
    const layer *l = s->l;
    errands e = {0};
    long H = s->H, row = s->at - l->N;
    if (!s->t) return e;
    fetch_rows(&e, l->d_out + row * H, s->count, H, places);
    fetch_rows(&e, (l->c ? l->c : l->h) + row * H, s->count, H, places);
    if (groups > 1) fetch_rows(&e, l->work + row * groups * H, s->count, groups * H, places);
    if (l->saved) fetch_rows(&e, l->saved + row * H, s->count, H, places);
    return e;
}

// A sweep for a single stream: the products of four panels at a time, of several gates or of several blocks.
INLINE void sweep_one(const step *s, long gates, long places, const float *panels, const float *operand, float *products, epilogue_fn *epilogue)
{
    long H = s->H, blocks = (H + PAIR - 1) / PAIR, size = places * PAIR;
    for (long block = s->block; block < s->blocks; block += 4) {
        long some = least(4, s->blocks - block);
        const float *panel = panels + block * size;
        for (long g = 0; operand && some > gates && g < gates; g++)
            column_product(some, places, panel + g * blocks * size, size, operand, STRIDE(places, 1), products + g * GATE, PAIR);
        for (long b = 0; operand && some <= gates && b < some; b++)
            column_product(gates, places, panel + b * size, blocks * size, operand, STRIDE(places, 1), products + b * PAIR, GATE);
        for (long u = block * PAIR; u < least((block + some) * PAIR, H); u += VL)
            epilogue(s, products + u - block * PAIR, u, least(VL, H - u), 0, 1);
    }
}

// For each block of units: multiply the `gates` panels by the operand (skipped if it is null), then run
// the epilogue.
INLINE void sweep(const step *s, errands *e, long gates, long places, const float *panels, const float *operand, touched what, long groups, float *products, epilogue_fn *epilogue)
{
    long H = s->H, blocks = (H + PAIR - 1) / PAIR, size = places * PAIR, stride = STRIDE(places, s->count);
    if (s->count == 1) {
        sweep_one(s, gates, places, panels, operand, products, epilogue);
        return;
    }
    for (long block = s->block; block < s->blocks; block++)
        for (long start = 0; start < s->count; start += CHUNK) {
            long some = least(CHUNK, s->count - start);
            if (what == FORTH) expect_forth(s, groups, block * PAIR, start, some);
            if (what == BACK) expect_back(s, e != 0, groups, block * PAIR, start, some);
            if (operand && some == 1)
                column_product(gates, places, panels + block * size, blocks * size, operand + AT(0, start, stride), stride, products, GATE);
            else if (operand)
                for (long g = 0; g < gates; g++) {
                    const float *panel = panels + (g * blocks + block) * size;
                    const float *next = g + 1 < gates ? panel + blocks * size : panels + (block + 1 < s->blocks ? block + 1 : s->block) * size;
                    panel_product(places, panel, next, e, operand + AT(0, start, stride), stride, TILED(some), products + g * GATE, PAIR, 0);
                }
            for (long half = 0; half < PAIR && block * PAIR + half < H; half += VL)
                for (long n = start; n < start + some; n += VL) {
                    long u = block * PAIR + half, streams = least(VL, start + some - n);
                    const float *p = products + half + (n - start) * PAIR;
                    if (H - u >= VL) epilogue(s, p, u, VL, n, streams);
                    else epilogue(s, p, u, H - u, n, streams);
                }
        }
}

// Copies features [u, u + width) of `streams` rows to the vectors of the next product's operand.
INLINE void hand_on(const step *s, vf *rows, long gate, long u, long width, long n, long streams)
{
    if (s->stride == 1) {
        store_some(s->next + gate * PLACES(s->H) + u, rows[0], width);
        return;
    }
    for (long j = streams; j < VL; j++) rows[j] = splat(0.0f);
    put_vectors(rows, s->next + AT(gate * PLACES(s->H) + u / PACKED, n, s->stride), s->stride, width);
}

// Input product plus bias of one gate; a table already includes the bias.
INLINE vf input(const layer *l, const float *x, long gate, long u, long width)
{
    vf v = load_some(x + gate * l->H + u, width);
    if (!l->ids) v = v + load_some(l->bias + gate * l->H + u, width);
    return v;
}

// The inputs of stream n's G gates: in the table, or in the stream's row of `work`.
INLINE const float *inputs(const step *s, long G, long n, const float *row)
{
    const layer *l = s->l;
    return l->ids ? l->table + (long)l->ids[s->at + n] * G * l->H : row;
}

// The last epilogue of a backward pass: ∂L/∂h before the window is the product (keep_product), or the
// product and what is in dh already (add_product).
INLINE void keep_product(const step *s, const float *p, long u, long width, long n, long streams)
{
    for (long j = 0; j < streams; j++) store_some(s->l->dh + (s->first + n + j) * s->H + u, load(p + j * PAIR), width);
}

INLINE void add_product(const step *s, const float *p, long u, long width, long n, long streams)
{
    for (long j = 0; j < streams; j++) {
        float *dh = s->l->dh + (s->first + n + j) * s->H + u;
        store_some(dh, load_some(dh, width) + load(p + j * PAIR), width);
    }
}

#define SWAP(a, b)        \
    do {                  \
        float *c_ = (a);  \
        (a) = (b);        \
        (b) = c_;         \
    } while (0)

// Memory for `count` operands of `places` places, and `more` floats. An epilogue leaves places between
// gates as they are: 0.
INLINE float *operands(const step *s, long count, long places, long more)
{
    size_t size = (size_t)(count * OPERAND(places, s->count));
    float *memory = scratch(size + (size_t)more);
    if (DEEP > VL) memset(memory, 0, size * sizeof(float));
    return memory;
}

// All steps of cells whose recurrence is one product with h: `gates` panels per block of units, `groups`
// groups of features of `work`.
INLINE void forward_pass(const layer *l, int share, int shares, long gates, long groups, epilogue_fn *epilogue)
{
    step s = share_of_step(l, share, shares);
    long H = s.H, places = PLACES(H), size = OPERAND(places, s.count);
    if (!s.count) return;
    float *operand = operands(&s, 2, places, gates * GATE), *products = operand + 2 * size;
    s.next = operand + size;
    s.stride = STRIDE(places, s.count);
    pack_rows(s.count, H, l->h + s.first * H, H, operand, s.stride);
    for (long t = 0; t < l->T; t++) {
        at_step(&s, t);
        sweep(&s, 0, gates, places, l->forth, operand, FORTH, groups, products, epilogue);
        SWAP(operand, s.next);
    }
}

// The same backwards; `last` takes the product that belongs to h before the window.
INLINE void backward_pass(const layer *l, int share, int shares, long gates, long groups, epilogue_fn *epilogue, epilogue_fn *last)
{
    step s = share_of(l, share, shares);
    long places = gates * PLACES(s.H), size = OPERAND(places, s.count);
    int fetch = ERRANDS && gates < 4; // products of more gates last so long that fetching at their beginning costs little
    if (!s.count) return;
    float *operand = operands(&s, 2, places, GATE), *products = operand + 2 * size;
    s.next = operand + size;
    s.stride = STRIDE(places, s.count);
    for (long t = l->T - 1; t >= 0; t--) {
        at_step(&s, t);
        errands e = back_errands(&s, groups, places);
        sweep(&s, fetch ? &e : 0, 1, places, l->back, t < l->T - 1 ? operand : 0, BACK, groups, products, epilogue);
        SWAP(operand, s.next);
    }
    sweep(&s, 0, 1, places, l->back, operand, NEAR, 0, products, last);
}

#endif

// Products over all steps and streams of a window, whose rows are contiguous.
#ifndef CHARRNN_PRODUCTS_H
#define CHARRNN_PRODUCTS_H

#include "pool.h"
#include "tile.h"

#define ROWS (4 * COLUMNS) // rows at a time
#define DEPTH 256 // rows that are summed at a time
#define NEARBY (1 << 18) // floats of panels that stay in the second-level cache

// A tile with only `width` features is computed in `room` (PAIR × count).
INLINE void edge_product(long places, const float *panel, const float *next, errands *e, const float *operand, long stride, long count, float *out, long ld, long width, int add, float *room)
{
    if (width >= PAIR) {
        panel_product(places, panel, next, e, operand, stride, count, out, ld, add);
        return;
    }
    if (add)
        for (long j = 0; j < count; j++) memcpy(room + j * PAIR, out + j * ld, (size_t)width * sizeof(float));
    if (width > VL) panel_product(places, panel, next, e, operand, stride, count, room, PAIR, add);
    else narrow_product(places, panel, next, e, operand, stride, count, room, PAIR, add);
    for (long j = 0; j < count; j++) memcpy(out + j * ld, room + j * PAIR, (size_t)width * sizeof(float));
}

// out (rows, M) = x (rows, K) times the matrix in `panels`
typedef struct {
    int64_t rows, K, M;
    const float *panels, *x;
    int64_t x_ld;
    float *out;
    int64_t out_ld;
} rows_job;

static void rows_share(void *context, int share, int shares)
{
    const rows_job *w = context;
    int few = w->rows < shares * COLUMNS; // then each thread takes some columns of out
    long first = few ? 0 : part(w->rows, COLUMNS, share, shares);
    long last = few ? w->rows : part(w->rows, COLUMNS, share + 1, shares);
    long from = few ? part(w->M, PAIR, share, shares) : 0, to = few ? part(w->M, PAIR, share + 1, shares) : w->M;
    long places = PLACES(w->K), stride = STRIDE(places, ROWS);
    float *operand = scratch((size_t)(OPERAND(places, ROWS) + PAIR * ROWS)), *room = operand + OPERAND(places, ROWS);
    long whole = to / PAIR * PAIR;
    int near = places * (to - from) <= NEARBY;
    for (long row = first; row < last; row += ROWS) {
        long some = least(ROWS, last - row);
        if (some == 1 && PACKED == 1) {
            const float *x = w->x + row * w->x_ld;
            float *out = w->out + row * w->out_ld;
            column_product((whole - from) / PAIR, w->K, w->panels + from * w->K, w->K * PAIR, x, 1, out + from, PAIR);
            if (whole == to) continue;
            column_product(1, w->K, w->panels + whole * w->K, 0, x, 1, room, 0);
            memcpy(out + whole, room, (size_t)(to - whole) * sizeof(float));
            continue;
        }
        pack_rows(some, w->K, w->x + row * w->x_ld, w->x_ld, operand, stride);
        errands e = {0};
        long more = least(ROWS, last - row - some);
        fetch_rows(&e, w->x + (row + some) * w->x_ld, more, w->x_ld, places);
        fetch_rows(&e, w->out + (row + some) * w->out_ld, more, w->out_ld, places);
        for (long m = from; m < to; m += PAIR)
            edge_product(places, w->panels + m * places, near ? 0 : w->panels + (m + PAIR) * places, &e, operand, stride, some, w->out + row * w->out_ld + m, w->out_ld, w->M - m, 0, room);
    }
}

// x (rows, M), which is multiplied with d (rows, F), and out (F, M) = Σ over rows of d ⊗ x
typedef struct {
    int64_t M;
    const float *x;
    int64_t x_ld;
    float *out;
} outer_factor;

// The products of d (rows, F) with one or two factors, and sums (F) = Σ over rows of d if it is not null, all
// added to what is there if `add`. The second factor has M = 0 if there is none. And, if there are ids (rows),
// symbols (F, V) = Σ over rows of d ⊗ one-hot(id); then `add` is 0.
typedef struct {
    int64_t rows, F;
    const float *d;
    int64_t d_ld;
    int64_t add;
    float *sums;
    outer_factor factors[2];
    int64_t V;
    const int32_t *ids;
    float *symbols;
} outer_job;

#define WIDE padded(COLUMNS, VL) // floats of a symbol's line in the table of a tile

// A tile's table (V, WIDE) becomes `some` rows of the gradient of symbols.
static void table_rows(const float *table, long V, long some, float *out)
{
    for (long n = 0; n < some; n += VL)
        for (long v = 0; v < V; v += VL) {
            vf a[VL];
            for (long j = 0; j < VL; j++) a[j] = v + j < V ? load(table + (v + j) * WIDE + n) : splat(0.0f);
            transpose(a);
            for (long i = 0; i < least(VL, some - n); i++) store_some(out + (n + i) * V + v, a[i], V - v);
        }
}

static void outer_share(void *context, int share, int shares)
{
    const outer_job *w = context;
    const outer_factor *a = w->factors, *b = w->factors + 1;
    long first = part(w->F, TILED(1), share, shares), count = part(w->F, TILED(1), share + 1, shares) - first;
    long wide = padded(a->M, PAIR) + padded(b->M, PAIR), tiles = (count + COLUMNS - 1) / COLUMNS, most = OPERAND(DEPTH, COLUMNS);
    long table = w->ids ? w->V * WIDE : 0;
    if (!count) return;
    float *panels = scratch((size_t)(DEPTH * wide + most + PAIR * COLUMNS + tiles * table));
    float *operand = panels + DEPTH * wide, *room = operand + most, *tables = room + PAIR * COLUMNS;
    if (w->sums && !w->add) memset(w->sums + first, 0, (size_t)count * sizeof(float));
    memset(tables, 0, (size_t)(tiles * table) * sizeof(float));
    for (long k0 = 0; k0 < w->rows; k0 += DEPTH) {
        long depth = least(DEPTH, w->rows - k0), more = least(DEPTH, w->rows - k0 - depth);
        long places = PLACES(depth), stride = STRIDE(places, COLUMNS);
        errands e = {0};
        float *panel = panels;
        for (const outer_factor *x = a; x <= b; x++) {
            fetch_rows(&e, x->x + (k0 + depth) * x->x_ld, more, x->x_ld, places);
            for (long m = 0; m < x->M; m += PAIR, panel += places * PAIR) pack_panel(depth, x->M - m, x->x + k0 * x->x_ld + m, x->x_ld, panel);
        }
        for (long tile = 0; tile < tiles; tile++) {
            long begin = part(count, TILED(1), tile, tiles), some = part(count, TILED(1), tile + 1, tiles) - begin, f = first + begin;
            totals to = {w->sums ? w->sums + f : 0, w->ids ? w->ids + k0 : 0, tables + tile * table, WIDE};
            pack_columns(depth, some, w->d + k0 * w->d_ld + f, w->d_ld, operand, stride, to);
            panel = panels;
            for (const outer_factor *x = a; x <= b; x++)
                for (long m = 0; m < x->M; m += PAIR, panel += places * PAIR)
                    edge_product(places, panel, 0, &e, operand, stride, some, x->out + f * x->M + m, x->M, x->M - m, k0 || w->add, room);
        }
    }
    for (long tile = 0; tile < tiles && w->ids; tile++) {
        long begin = part(count, TILED(1), tile, tiles), some = part(count, TILED(1), tile + 1, tiles) - begin;
        table_rows(tables + tile * table, w->V, some, w->symbols + (first + begin) * w->V);
    }
}

// out (F) = Σ over rows of d (rows, F)
typedef struct {
    int64_t rows, F;
    const float *d;
    int64_t d_ld;
    float *out;
} sum_job;

static void sum_share(void *context, int share, int shares)
{
    const sum_job *w = context;
    long first = part(w->F, VL, share, shares), last = part(w->F, VL, share + 1, shares);
    for (long f = first; f < last; f += 4 * VL) {
        vf sum[4] = {splat(0.0f), splat(0.0f), splat(0.0f), splat(0.0f)};
        long left = last - f;
        if (left >= 4 * VL)
            for (long row = 0; row < w->rows; row++)
                UNROLL for (int i = 0; i < 4; i++) sum[i] += load(w->d + row * w->d_ld + f + i * VL);
        else
            for (long row = 0; row < w->rows; row++)
                for (int i = 0; i * VL < left; i++) sum[i] += load_some(w->d + row * w->d_ld + f + i * VL, left - i * VL);
        for (int i = 0; i * VL < left && i < 4; i++) store_some(w->out + f + i * VL, sum[i], left - i * VL);
    }
}

// Panels of `groups` matrices of `rows` rows each, (rows, K), as
// [group][rows / PAIR][PLACES(K)][PAIR]
typedef struct {
    int64_t groups, rows, K;
    const float *matrix;
    float *panels;
} forth_job;

static void forth_share(void *context, int share, int shares)
{
    const forth_job *w = context;
    long blocks = (w->rows + PAIR - 1) / PAIR, all = w->groups * blocks;
    for (long k = all * share / shares; k < all * (share + 1) / shares; k++) {
        long row = k % blocks * PAIR;
        pack_panel_of_rows(w->K, w->rows - row, w->matrix + (k / blocks * w->rows + row) * w->K, w->K, w->panels + k * PLACES(w->K) * PAIR);
    }
}

// Panels of the columns of a matrix (K, M). Its rows are split into groups of `group` rows, each padded
// to whole places, in cyclic order from group `start`.
typedef struct {
    int64_t K, M, group;
    const float *matrix;
    int64_t start;
    float *panels;
} back_job;

static void back_share(void *context, int share, int shares)
{
    const back_job *w = context;
    long blocks = (w->M + PAIR - 1) / PAIR, groups = w->K / w->group, size = PLACES(w->group) * PAIR;
    for (long k = blocks * share / shares; k < blocks * (share + 1) / shares; k++)
        for (long g = 0; g < groups; g++) {
            const float *rows = w->matrix + (w->start + g) % groups * w->group * w->M;
            pack_panel(w->group, w->M - k * PAIR, rows + k * PAIR, w->M, w->panels + (k * groups + g) * size);
        }
}

// out (C, R) = matrix (R, C) transposed, plus bias (R) if there is one
typedef struct {
    int64_t R, C;
    const float *matrix, *bias;
    float *out;
} transpose_job;

static void transpose_share(void *context, int share, int shares)
{
    const transpose_job *w = context;
    for (long i = part(w->R, VL, share, shares); i < part(w->R, VL, share + 1, shares); i += VL) {
        vf bias = w->bias ? load_some(w->bias + i, w->R - i) : splat(0.0f);
        for (long j = 0; j < w->C; j += VL) {
            vf a[VL];
            for (long k = 0; k < VL; k++) a[k] = i + k < w->R ? load_some(w->matrix + (i + k) * w->C + j, w->C - j) : splat(0.0f);
            transpose(a);
            for (long k = 0; k < least(VL, w->C - j); k++) {
                if (w->bias) a[k] = a[k] + bias;
                store_some(w->out + (j + k) * w->R + i, a[k], w->R - i);
            }
        }
    }
}

// out (V, F) = Σ over rows of one-hot(id) ⊗ d (rows, F)
typedef struct {
    int64_t rows, F, V;
    const float *d;
    int64_t d_ld;
    const int32_t *ids;
    float *out;
} symbols_job;

static void symbols_share(void *context, int share, int shares)
{
    const symbols_job *w = context;
    long first = part(w->F, VL, share, shares), last = part(w->F, VL, share + 1, shares);
    if (first == last) return;
    for (long v = 0; v < w->V; v++) memset(w->out + v * w->F + first, 0, (size_t)(last - first) * sizeof(float));
    for (long row = 0; row < w->rows; row++) {
        float *o = w->out + w->ids[row] * w->F;
        const float *d = w->d + row * w->d_ld;
        for (long f = first; f < last; f += VL) store_some(o + f, load_some(o + f, last - f) + load_some(d + f, last - f), last - f);
    }
}

#endif

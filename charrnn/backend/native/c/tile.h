// The inner loop of all products: a tile of 2 vectors times up to COLUMNS columns.
//
//     out[j][i] = (add ? out[j][i] : 0) + Σ_k panel[k][i] · columns[k][j],   i < PAIR
//
// The sum runs over k in order, each term fused, so the result does not depend on how a product is
// cut into tiles, nor on VL.
#ifndef CHARRNN_TILE_H
#define CHARRNN_TILE_H

#include "vector.h"

typedef void tile_fn(long K, const float *panel, const float *columns, long stride, float *out, long ld, int add);

#define TILE(NB)                                                                                   \
    static void tile_##NB(long K, const float *panel, const float *columns, long stride, float *out, long ld, int add) \
    {                                                                                              \
        vf low[NB], high[NB];                                                                      \
        UNROLL for (int j = 0; j < NB; j++) {                                                      \
            low[j] = add ? load(out + j * ld) : splat(0.0f);                                       \
            high[j] = add ? load(out + j * ld + VL) : splat(0.0f);                                 \
        }                                                                                          \
        for (long k = 0; k < K; k++) {                                                             \
            vf a = load(panel), b = load(panel + VL);                                              \
            UNROLL for (int j = 0; j < NB; j++) {                                                  \
                vf c = splat(columns[j]);                                                          \
                low[j] = fma_(a, c, low[j]);                                                       \
                high[j] = fma_(b, c, high[j]);                                                     \
            }                                                                                      \
            panel += PAIR;                                                                         \
            columns += stride;                                                                     \
        }                                                                                          \
        UNROLL for (int j = 0; j < NB; j++) {                                                      \
            store(out + j * ld, low[j]);                                                           \
            store(out + j * ld + VL, high[j]);                                                     \
        }                                                                                          \
    }

TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#if COLUMNS > 6
TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12)
#endif
#if COLUMNS > 12
TILE(13) TILE(14)
#endif

static tile_fn *const TILES[] = {
    0, tile_1, tile_2, tile_3, tile_4, tile_5, tile_6,
#if COLUMNS > 6
    tile_7, tile_8, tile_9, tile_10, tile_11, tile_12,
#endif
#if COLUMNS > 12
    tile_13, tile_14,
#endif
};

// The same for one column and NP panels, `apart` floats from each other: with a single panel, each
// multiply-add would wait for the one before.
typedef void few_fn(long K, const float *panel, long apart, const float *column, long stride, float *out, long out_apart);

#define FEW(NP)                                                                                    \
    static void few_##NP(long K, const float *panel, long apart, const float *column, long stride, float *out, long out_apart) \
    {                                                                                              \
        vf low[NP], high[NP];                                                                      \
        UNROLL for (int p = 0; p < NP; p++) low[p] = high[p] = splat(0.0f);                        \
        for (long k = 0; k < K; k++, panel += PAIR, column += stride) {                            \
            vf c = splat(*column);                                                                 \
            UNROLL for (int p = 0; p < NP; p++) {                                                  \
                low[p] = fma_(load(panel + p * apart), c, low[p]);                                 \
                high[p] = fma_(load(panel + p * apart + VL), c, high[p]);                          \
            }                                                                                      \
        }                                                                                          \
        UNROLL for (int p = 0; p < NP; p++) {                                                      \
            store(out + p * out_apart, low[p]);                                                    \
            store(out + p * out_apart + VL, high[p]);                                              \
        }                                                                                          \
    }

FEW(1) FEW(2) FEW(3) FEW(4)

static few_fn *const FEWS[] = {0, few_1, few_2, few_3, few_4};

INLINE void column_product(long panels, long K, const float *panel, long apart, const float *column, long stride, float *out, long out_apart)
{
    for (long p = 0; p < panels; p += 4)
        FEWS[least(4, panels - p)](K, panel + p * apart, apart, column, stride, out + p * out_apart, out_apart);
}

// One panel times `count` columns, in tiles of about equal width.
INLINE void panel_product(long K, const float *panel, const float *columns, long stride, long count, float *out, long ld, int add)
{
    long tiles = (count + COLUMNS - 1) / COLUMNS, first = 0;
    for (long tile = 0; tile < tiles; tile++) {
        long last = count * (tile + 1) / tiles;
        TILES[last - first](K, panel, columns + first, stride, out + first * ld, ld, add);
        first = last;
    }
}

// VL rows of VL features each (a[j] is one row) become columns: columns[i][j] for i < features.
INLINE void put_columns(vf *a, float *columns, long stride, long features)
{
    transpose(a);
    for (long i = 0; i < least(features, VL); i++) store(columns + i * stride, a[i]);
}

// Rows (count, F) with stride ld become columns (F, stride); stride >= count rounded up to VL.
static void pack_columns(long count, long F, const float *rows, long ld, float *columns, long stride)
{
    for (long f = 0; f < F; f += VL)
        for (long n = 0; n < count; n += VL) {
            vf a[VL];
            for (long j = 0; j < VL; j++) a[j] = n + j < count ? load_some(rows + (n + j) * ld + f, F - f) : splat(0.0f);
            put_columns(a, columns + f * stride + n, stride, F - f);
        }
}

// Panels of a matrix (K, M), its columns side by side: [M / PAIR][K][PAIR], the last padded with 0.
static void pack_panel(long K, long count, const float *matrix, long ld, float *panel)
{
    for (long k = 0; k < K; k++, panel += PAIR, matrix += ld) {
        store(panel, load_some(matrix, count));
        store(panel + VL, count > VL ? load_some(matrix + VL, count - VL) : splat(0.0f));
    }
}

// The same of the transpose, whose rows are the panel's columns: `count` rows of K elements.
static void pack_panel_of_rows(long K, long count, const float *rows, long ld, float *panel)
{
    for (long half = 0; half < 2; half++)
        for (long k = 0; k < K; k += VL) {
            vf a[VL];
            for (long i = 0; i < VL; i++) {
                long row = half * VL + i;
                a[i] = row < count ? load_some(rows + row * ld + k, K - k) : splat(0.0f);
            }
            put_columns(a, panel + k * PAIR + half * VL, PAIR, K - k);
        }
}

#endif

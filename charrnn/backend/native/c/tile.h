// The inner loop of all products, but for those of amx.h: a tile of 2 vectors times up to COLUMNS columns.
//
//     out[j][i] = (add ? out[j][i] : 0) + Σ_k panel[k][i] · columns[k][j],   i < PAIR
//
// The sum runs over k in order, each term fused, so the result does not depend on how a product is
// cut into tiles, nor on VL.
//
// Meanwhile the next panel is fetched into the second-level cache, a line or two per step: large
// matrices come from further away, and no processor foresees that well enough.
#ifndef CHARRNN_TILE_H
#define CHARRNN_TILE_H

#include "amx.h"

#ifndef AMX
#ifdef BF16
INLINE vf multiply_add(vf a, vf b, vf sum)
{
    return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}
#else
INLINE vf multiply_add(vf a, vf b, vf sum) { return fma_(a, b, sum); }
#endif

#define FETCH(p) __builtin_prefetch(p, 0, 2)

typedef void tile_fn(long places, const float *panel, const float *columns, long stride, float *out, long ld, int add, const float *ahead, long apart);

#define TILE(NB)                                                                                   \
    static void tile_##NB(long places, const float *panel, const float *columns, long stride, float *out, long ld, int add, const float *ahead, long apart) \
    {                                                                                              \
        vf low[NB], high[NB];                                                                      \
        UNROLL for (int j = 0; j < NB; j++) {                                                      \
            low[j] = add ? load(out + j * ld) : splat(0.0f);                                       \
            high[j] = add ? load(out + j * ld + VL) : splat(0.0f);                                 \
        }                                                                                          \
        for (long k = 0; k < places; k++) {                                                        \
            FETCH(ahead);                                                                          \
            FETCH(ahead + apart);                                                                  \
            vf a = load(panel), b = load(panel + VL);                                              \
            UNROLL for (int j = 0; j < NB; j++) {                                                  \
                vf c = splat(columns[j]);                                                          \
                low[j] = multiply_add(a, c, low[j]);                                               \
                high[j] = multiply_add(b, c, high[j]);                                             \
            }                                                                                      \
            panel += PAIR;                                                                         \
            ahead += VL;                                                                           \
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
typedef void few_fn(long places, const float *panel, long apart, const float *column, long stride, float *out, long out_apart);

#define FEW(NP)                                                                                    \
    static void few_##NP(long places, const float *panel, long apart, const float *column, long stride, float *out, long out_apart) \
    {                                                                                              \
        vf low[NP], high[NP];                                                                      \
        UNROLL for (int p = 0; p < NP; p++) low[p] = high[p] = splat(0.0f);                        \
        for (long k = 0; k < places; k++, panel += PAIR, column += stride) {                       \
            vf c = splat(*column);                                                                 \
            UNROLL for (int p = 0; p < NP; p++) {                                                  \
                low[p] = multiply_add(load(panel + p * apart), c, low[p]);                         \
                high[p] = multiply_add(load(panel + p * apart + VL), c, high[p]);                  \
            }                                                                                      \
        }                                                                                          \
        UNROLL for (int p = 0; p < NP; p++) {                                                      \
            store(out + p * out_apart, low[p]);                                                    \
            store(out + p * out_apart + VL, high[p]);                                              \
        }                                                                                          \
    }

FEW(1) FEW(2) FEW(3) FEW(4)

static few_fn *const FEWS[] = {0, few_1, few_2, few_3, few_4};

INLINE void column_product(long panels, long places, const float *panel, long apart, const float *column, long stride, float *out, long out_apart)
{
    for (long p = 0; p < panels; p += 4)
        FEWS[least(4, panels - p)](places, panel + p * apart, apart, column, stride, out + p * out_apart, out_apart);
}

// One panel times `count` columns, in tiles of about equal width. Each of the first two tiles fetches
// half of the next panel; a single tile fetches both halves.
INLINE void panel_product(long places, const float *panel, const float *next, const float *columns, long stride, long count, float *out, long ld, int add)
{
    long tiles = (count + COLUMNS - 1) / COLUMNS, first = 0, half = places * VL;
    for (long tile = 0; tile < tiles; tile++) {
        long last = count * (tile + 1) / tiles;
        TILES[last - first](places, panel, columns + first, stride, out + first * ld, ld, add, next + (tile ? half : 0), tiles > 1 ? 0 : half);
        first = last;
    }
}

#endif

#endif

// The inner loop of all products: a tile of 2 vectors times up to COLUMNS columns.
//
//     out[j][i] = (add ? out[j][i] : 0) + Σ_k panel[k][i] · columns[k][j],   i < PAIR
//
// The sum runs over k in order, each term fused, so the result does not depend on how a product is
// cut into tiles, nor on VL.
//
// Meanwhile the next panel is fetched into the second-level cache, a line or two per step: large
// matrices come from further away, and no processor foresees that well enough.
//
// Compiled with BF16, factors are rounded to bfloat16 when they are packed, and those of k and k + 1
// share one 32-bit slot, a place; sums stay in float. PACKED: values of k per place.
#ifndef CHARRNN_TILE_H
#define CHARRNN_TILE_H

#include "vector.h"

#ifdef BF16
#define PACKED 2
INLINE vf multiply_add(vf a, vf b, vf sum)
{
    return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}

// Elements of a and b, rounded to nearest even, in turn
INLINE vf pack(vf a, vf b)
{
    static const uint16_t turns[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                       8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    __m512i halves = (__m512i)_mm512_cvtne2ps_pbh((__m512)b, (__m512)a);
    return (vf)_mm512_permutexvar_epi16(_mm512_loadu_si512(turns), halves);
}
#else
#define PACKED 1
INLINE vf multiply_add(vf a, vf b, vf sum) { return fma_(a, b, sum); }
#endif

// The number of places that K terms need
#define PLACES(K) (((K) + PACKED - 1) / PACKED)

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

// VL rows of VL features each (a[j] is one row) become columns: columns[k][j] for k < PLACES(features).
// Rows are 0 from their last feature on.
INLINE void put_columns(vf *a, float *columns, long stride, long features)
{
    transpose(a);
    for (long i = 0; i < least(features, VL); i += PACKED)
#ifdef BF16
        store(columns + i / PACKED * stride, pack(a[i], a[i + 1]));
#else
        store(columns + i * stride, a[i]);
#endif
}

// Rows (count, F) with stride ld become columns (PLACES(F), stride); stride >= count rounded up to VL.
static void pack_columns(long count, long F, const float *rows, long ld, float *columns, long stride)
{
    for (long f = 0; f < F; f += VL)
        for (long n = 0; n < count; n += VL) {
            vf a[VL];
            for (long j = 0; j < VL; j++) a[j] = n + j < count ? load_some(rows + (n + j) * ld + f, F - f) : splat(0.0f);
            put_columns(a, columns + PLACES(f) * stride + n, stride, F - f);
        }
}

// One place of `count` columns, at most VL, of a matrix with K rows left.
INLINE vf place(const float *matrix, long ld, long K, long count)
{
    vf first = load_some(matrix, count);
#ifdef BF16
    return pack(first, K > 1 ? load_some(matrix + ld, count) : splat(0.0f));
#else
    return first;
#endif
}

// Pack one panel, [PLACES(K)][PAIR], from `count` columns of a matrix with K rows; missing columns
// become 0.
static void pack_panel(long K, long count, const float *matrix, long ld, float *panel)
{
    for (long k = 0; k < K; k += PACKED, panel += PAIR, matrix += PACKED * ld) {
        store(panel, place(matrix, ld, K - k, count));
        store(panel + VL, count > VL ? place(matrix + VL, ld, K - k, count - VL) : splat(0.0f));
    }
}

// The same from the transpose: the panel's columns are `count` rows of K elements.
static void pack_panel_of_rows(long K, long count, const float *rows, long ld, float *panel)
{
    for (long half = 0; half < 2; half++)
        for (long k = 0; k < K; k += VL) {
            vf a[VL];
            for (long i = 0; i < VL; i++) {
                long row = half * VL + i;
                a[i] = row < count ? load_some(rows + row * ld + k, K - k) : splat(0.0f);
            }
            put_columns(a, panel + PLACES(k) * PAIR + half * VL, PAIR, K - k);
        }
}

#endif

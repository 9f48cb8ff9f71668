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
#if VL == 16
    return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
    return (vf)vbfdotq_f32((float32x4_t)sum, (bfloat16x8_t)a, (bfloat16x8_t)b);
#endif
}

#ifdef __aarch64__
#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

// Whether the processor has that instruction
static int dot_products(void)
{
#if defined(__linux__)
    return getauxval(AT_HWCAP2) >> 14 & 1; // HWCAP2_BF16
#elif defined(__APPLE__)
    int has = 0;
    size_t size = sizeof(has);
    return !sysctlbyname("hw.optional.arm.FEAT_BF16", &has, &size, 0, 0) && has;
#else
    return 0;
#endif
}
#endif
#else
INLINE vf multiply_add(vf a, vf b, vf sum) { return fma_(a, b, sum); }
#endif

#define FETCH(p) __builtin_prefetch(p, 0, 2)

typedef void tile_fn(long places, const float *panel, const float *columns, long stride, float *out, long ld, int add, const float *ahead, long apart);

#define TILE(NAME, NB, WIDE)                                                                       \
    static void NAME(long places, const float *panel, const float *columns, long stride, float *out, long ld, int add, const float *ahead, long apart) \
    {                                                                                              \
        vf low[NB], high[NB];                                                                      \
        UNROLL for (int j = 0; j < NB; j++) {                                                      \
            low[j] = add ? load(out + j * ld) : splat(0.0f);                                       \
            if (WIDE) high[j] = add ? load(out + j * ld + VL) : splat(0.0f);                       \
        }                                                                                          \
        for (long k = 0; k < places; k++) {                                                        \
            FETCH(ahead);                                                                          \
            FETCH(ahead + apart);                                                                  \
            vf a = load(panel), b = WIDE ? load(panel + VL) : a;                                   \
            UNROLL for (int j = 0; j < NB; j++) {                                                  \
                vf c = splat(columns[j]);                                                          \
                low[j] = multiply_add(a, c, low[j]);                                               \
                if (WIDE) high[j] = multiply_add(b, c, high[j]);                                   \
            }                                                                                      \
            panel += PAIR;                                                                         \
            ahead += VL;                                                                           \
            columns += stride;                                                                     \
        }                                                                                          \
        UNROLL for (int j = 0; j < NB; j++) {                                                      \
            store(out + j * ld, low[j]);                                                           \
            if (WIDE) store(out + j * ld + VL, high[j]);                                           \
        }                                                                                          \
    }

#define UP_TO_6(NAME) NAME(1) NAME(2) NAME(3) NAME(4) NAME(5) NAME(6)
#define UP_TO_12(NAME) UP_TO_6(NAME) NAME(7) NAME(8) NAME(9) NAME(10) NAME(11) NAME(12)
#if COLUMNS > 12
#define UP_TO_COLUMNS(NAME) UP_TO_12(NAME) NAME(13) NAME(14)
#elif COLUMNS > 6
#define UP_TO_COLUMNS(NAME) UP_TO_12(NAME)
#else
#define UP_TO_COLUMNS(NAME) UP_TO_6(NAME)
#endif

#define TILES_OF(NB) TILE(tile_##NB, NB, 1) TILE(narrow_##NB, NB, 0)
#define TILE_OF(NB) , tile_##NB
#define NARROW_OF(NB) , narrow_##NB
UP_TO_COLUMNS(TILES_OF)
static tile_fn *const TILES[] = {0 UP_TO_COLUMNS(TILE_OF)}, *const NARROW[] = {0 UP_TO_COLUMNS(NARROW_OF)};

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
INLINE void in_tiles(tile_fn *const *tile_of, long places, const float *panel, const float *next, const float *columns, long stride, long count, float *out, long ld, int add)
{
    long tiles = (count + COLUMNS - 1) / COLUMNS, first = 0, half = places * VL;
    for (long tile = 0; tile < tiles; tile++) {
        long last = count * (tile + 1) / tiles;
        tile_of[last - first](places, panel, columns + first, stride, out + first * ld, ld, add, next + (tile ? half : 0), tiles > 1 ? 0 : half);
        first = last;
    }
}

INLINE void panel_product(long places, const float *panel, const float *next, const float *columns, long stride, long count, float *out, long ld, int add)
{
    in_tiles(TILES, places, panel, next, columns, stride, count, out, ld, add);
}

// The same with the first vector of the panel only
INLINE void narrow_product(long places, const float *panel, const float *next, const float *columns, long stride, long count, float *out, long ld, int add)
{
    in_tiles(NARROW, places, panel, next, columns, stride, count, out, ld, add);
}

#endif

#endif

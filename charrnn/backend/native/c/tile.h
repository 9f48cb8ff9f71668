// The inner loop of all products, but for those of amx.h: a tile of 2 vectors times up to COLUMNS columns.
//
//     out[j][i] = (add ? out[j][i] : 0) + Σ_k panel[k][i] · columns[k][j],   i < PAIR
//
// The sum runs over k in order, each term fused, so the result does not depend on how a product is
// cut into tiles, nor on VL.
//
// A processor that two programs share issues few instructions for each, so what counts is how many there
// are for a term: two terms are added in turn, and columns are multiplied from memory.
#ifndef CHARRNN_TILE_H
#define CHARRNN_TILE_H

#include "multiply.h"

#ifndef AMX
#define FETCH(p) __builtin_prefetch(p, 0, 2)

typedef void tile_fn(long places, const float *panel, const float *columns, long stride, float *out, long ld, int add, const float *ahead, long pace);

// One term of all sums. Every other column is multiplied from memory, which saves instructions; in narrow
// tiles fewer, as they load more for each product.
#define FROM_MEMORY(j, NB) ((j) % 2 && (j) >= COLUMNS - (NB))
#define TERM(NB, WIDE)                                                                             \
    {                                                                                              \
        vf a = load(panel), b = WIDE ? load(panel + VL) : a;                                       \
        UNROLL for (int j = 0; j < NB; j++)                                                        \
            if (FROM_MEMORY(j, NB)) {                                                              \
                accumulate_from(&low[j], a, columns + j);                                          \
                if (WIDE) accumulate_from(&high[j], b, columns + j);                               \
            } else {                                                                               \
                vf c = splat(columns[j]);                                                          \
                accumulate(&low[j], a, c);                                                         \
                if (WIDE) accumulate(&high[j], b, c);                                              \
            }                                                                                      \
        FETCH(ahead);                                                                              \
        panel += PAIR;                                                                             \
        columns += stride;                                                                         \
        ahead += pace;                                                                             \
    }

#define TILE(NAME, NB, WIDE)                                                                       \
    static void NAME(long places, const float *panel, const float *columns, long stride, float *out, long ld, int add, const float *ahead, long pace) \
    {                                                                                              \
        vf low[NB], high[NB];                                                                      \
        UNROLL for (int j = 0; j < NB; j++) {                                                      \
            low[j] = add ? load(out + j * ld) : splat(0.0f);                                       \
            if (WIDE) high[j] = add ? load(out + j * ld + VL) : splat(0.0f);                       \
        }                                                                                          \
        for (long k = places / 2; k > 0; k--) {                                                    \
            TERM(NB, WIDE)                                                                         \
            TERM(NB, WIDE)                                                                         \
        }                                                                                          \
        if (places % 2) TERM(NB, WIDE)                                                             \
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

// One panel times `count` columns, in tiles of about equal width. The first tile fetches the next panel, if
// there is one: every other line, whose neighbours come with them. Without errands, two tiles fetch a half each.
INLINE void in_tiles(tile_fn *const *tile_of, long places, const float *panel, const float *next, errands *e, const float *columns, long stride, long count, float *out, long ld, int add)
{
    long tiles = (count + COLUMNS - 1) / COLUMNS, first = 0, half = places * VL;
    for (long tile = 0; tile < tiles; tile++) {
        long last = count * (tile + 1) / tiles;
        errand panels = {tile && next ? next + half : next, e || tiles == 1 ? PAIR : VL, 0, 0};
        errand now = e && (tile || !next) ? next_errand(e, panel) : panels;
        tile_of[last - first](places, panel, columns + first, stride, out + first * ld, ld, add, now.from, now.pace);
        first = last;
    }
}

INLINE void panel_product(long places, const float *panel, const float *next, errands *e, const float *columns, long stride, long count, float *out, long ld, int add)
{
    in_tiles(TILES, places, panel, next, e, columns, stride, count, out, ld, add);
}

// The same with the first vector of the panel only
INLINE void narrow_product(long places, const float *panel, const float *next, errands *e, const float *columns, long stride, long count, float *out, long ld, int add)
{
    in_tiles(NARROW, places, panel, next, e, columns, stride, count, out, ld, add);
}

#endif

#endif

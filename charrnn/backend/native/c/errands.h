// What the tiles of a product fetch into the second-level cache, a line for each term, while they multiply:
// matrices and sequences come from further away, and no processor foresees that well enough. Lines that are
// fetched all at once hold up the product, so an errand is divided among many tiles.
#ifndef CHARRNN_ERRANDS_H
#define CHARRNN_ERRANDS_H

#include "vector.h"

#ifdef AMX
#define ERRANDS 0 // the products of amx.h run none
#else
#define ERRANDS 1
#endif
#define LINE 16 // floats of a cache line
#define PACE 8  // floats from term to term: a tile fetches a line with two of them

// What a tile fetches: from there on, `pace` floats further with each term. `tiles` more follow, each `step`
// floats further.
typedef struct {
    const float *from;
    long pace, step, tiles;
} errand;

typedef struct {
    errand list[4];
    long count, done;
} errands;

// Rows (count, width) that lie together, for tiles of so many places
INLINE void fetch_rows(errands *e, const float *rows, long count, long width, long places)
{
    long step = places * PACE, tiles = (count * width + step - 1) / step;
    if (tiles > 0) e->list[e->count++] = (errand){rows, PACE, step, tiles};
}

// What the next tile fetches; at the end, what is near anyway.
INLINE errand next_errand(errands *e, const float *near)
{
    if (e->done == e->count) return (errand){near, 0, 0, 0};
    errand *now = e->list + e->done, this = *now;
    now->from += now->step;
    if (!--now->tiles) e->done++;
    return this;
}

#endif

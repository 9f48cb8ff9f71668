// Symbols drawn from the model, step after step: each is what its stream reads next.
//
// The same weights and the same choice as charrnn/sampling/filters.py, in double, but for the last bit
// of exp, which is the same on every processor here.
#ifndef CHARRNN_DRAW_H
#define CHARRNN_DRAW_H

#include "sample.h"

#define SYMBOLS_EACH 1024 // fewer weights are not worth a thread
#define COLDEST 1e-100    // MIN_TEMPERATURE

typedef struct {
    int64_t steps;
    sample_job *model;
    int64_t unknown;           // a symbol that is never drawn; or -1
    int64_t top_k;             // 0 keeps all
    double top_p, min_p;       // 1 and 0 keep all
    const double *temperature; // (steps)
    const double *uniform;     // (steps, N), in [0, 1)
    int32_t *drawn;            // (steps, N)
    float *logits;             // (steps, N, V), what the symbols were drawn from; or null
    int64_t done;              // the steps made: fewer than `steps` if the logits after them were not finite
} draw_job;

typedef struct {
    double weight;
    int64_t symbol;
} ranked;

// The largest weight first; of equal ones the first symbol
static int by_rank(const void *one, const void *other)
{
    const ranked *a = one, *b = other;
    if (a->weight != b->weight) return a->weight < b->weight ? 1 : -1;
    return a->symbol < b->symbol ? -1 : 1;
}

// The largest of `count` numbers, whole vectors of them; NaN if one of them is
INLINE double largest(const double *p, long count)
{
    vd high = ALL(-HUGE_VAL);
    vl wrong = {0};
    for (long v = 0; v < count; v += VL / 2) {
        vd a = *(const vd *)(p + v);
        high = choose_d(a > high, a, high);
        wrong |= a != a;
    }
    double top = -HUGE_VAL;
    for (long i = 0; i < VL / 2; i++) {
        if (wrong[i]) return NAN;
        top = high[i] > top ? high[i] : top;
    }
    return top;
}

// Top-k, then top-p: all weights (V) but the largest become 0.
static void keep_largest(const draw_job *w, long V, double *p, ranked *order)
{
    long kept = w->top_k ? least(w->top_k, V) : V;
    double total = 0.0, before = 0.0;
    for (long v = 0; v < V; v++) order[v] = (ranked){p[v], v};
    qsort(order, (size_t)V, sizeof(ranked), by_rank);
    for (long r = kept; r < V; r++) p[order[r].symbol] = 0.0;
    for (long r = 0; r < kept; r++) total += order[r].weight;
    for (long r = 0; w->top_p < 1.0 && r < kept; r++) {
        if (before >= w->top_p * total) p[order[r].symbol] = 0.0;
        before += order[r].weight;
    }
}

// The first symbol whose cumulative weight exceeds `uniform` times the sum; -1 if the logits z are not
// finite. p and order: room for them.
INLINE int32_t drawn_from(const draw_job *w, const float *z, double temperature, double uniform, double *p, ranked *order)
{
    long V = w->model->V, wide = padded(V, VL / 2), v = 0;
    for (long k = 0; k < V; k++) p[k] = z[k];
    for (long k = V; k < wide; k++) p[k] = -HUGE_VAL;
    if (w->unknown >= 0) p[w->unknown] = -HUGE_VAL;
    double top = largest(p, wide), divisor = temperature > COLDEST ? temperature : COLDEST, sum = 0.0;
    if (!(top > -HUGE_VAL && top < HUGE_VAL)) return -1;
    if (temperature == 0.0) {
        while (p[v] != top) v++;
        return (int32_t)v;
    }
    for (long k = 0; k < wide; k += VL / 2) {
        vd *weights = (vd *)(p + k);
        *weights = exponential_d((*weights - top) / divisor);
    }
    if ((w->top_k && w->top_k < V) || w->top_p < 1.0) keep_largest(w, V, p, order);
    for (long k = 0; k < V; k++) p[k] = sum = sum + (p[k] < w->min_p ? 0.0 : p[k]); // the largest is 1
    for (long k = 0; k < V - 1; k++) v += p[k] <= sum * uniform; // they do not fall
    return (int32_t)v;
}

// The symbols of a group at step t
typedef struct {
    const draw_job *w;
    group streams;
    long t;
} choice;

static void choose_share(void *context, int share, int shares)
{
    const choice *c = context;
    const draw_job *w = c->w;
    const sample_job *m = w->model;
    long N = m->N, V = m->V, wide = padded(V, VL), first = c->streams.first, count = c->streams.count;
    double *p = (double *)scratch((size_t)(2 * wide + 4 * V));
    ranked *order = (ranked *)(p + wide);
    for (long n = first + count * share / shares; n < first + count * (share + 1) / shares; n++)
        m->ids[n] = drawn_from(w, m->logits + n * V, w->temperature[c->t], w->uniform[c->t * N + n], p, order);
}

// The next symbols of a group; 0 if some logits are not finite: then theirs is -1.
INLINE int draw_group(const draw_job *w, group s, long t)
{
    const sample_job *m = w->model;
    long row = t * m->N + s.first, most = s.count * m->V / SYMBOLS_EACH + 1;
    const float *logits = m->logits + s.first * m->V;
    choice symbols = {w, s, t};
    sample_group(m, s);
    among((group){0, 1, (int)least(s.threads, most), 0, 0}, choose_share, &symbols);
    memcpy(w->drawn + row, m->ids + s.first, (size_t)s.count * sizeof(int32_t));
    if (w->logits) memcpy(w->logits + row * m->V, logits, (size_t)(s.count * m->V) * sizeof(float));
    for (long n = s.first; n < s.first + s.count; n++)
        if (m->ids[n] < 0) return 0;
    return 1;
}

typedef struct {
    const draw_job *w;
    int threads; // of each share
} drawing;

static void draw_share(void *context, int share, int shares)
{
    const drawing *all = context;
    group s = group_of(all->w->model, share, shares, all->threads);
    for (long t = 0; t < all->w->steps && draw_group(all->w, s, t); t++) continue;
}

static void draw(int threads, draw_job *w)
{
    long N = w->model->N;
    int shares = shares_of(N, threads);
    drawing all = {w, threads / shares};
    run(shares, draw_share, &all);
    for (w->done = 0; w->done < w->steps; w->done++)
        for (long n = 0; n < N; n++)
            if (w->drawn[w->done * N + n] < 0) return;
}

#endif

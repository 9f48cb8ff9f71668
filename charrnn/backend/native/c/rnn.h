// The vanilla cell (equations: charrnn/cells/rnn.py). Work (T, N, H); kind 1 is ReLU.
#include "recurrence.h"

INLINE void rnn_forward_units(const step *s, const float *p, long u, long width, long n, long streams)
{
    const layer *l = s->l;
    long H = s->H;
    vf column[VL];
    for (long j = 0; j < streams; j++, p += PAIR) {
        long row = s->at + n + j;
        column[j] = input(l, inputs(s, 1, n + j, l->work + row * H), 0, u, width) + load(p);
        if (l->kind) column[j] = at_least(column[j], 0.0f);
    }
    if (!l->kind) hyperbolic_tangents(column, streams);
    for (long j = 0; j < streams; j++) store_some(l->h + (s->at + n + j + l->N) * H + u, column[j], width);
    hand_on(s, column, 0, u, width, n, streams);
}

INLINE void rnn_backward_units(const step *s, const float *p, long u, long width, long n, long streams)
{
    const layer *l = s->l;
    long H = s->H;
    int last = s->t == l->T - 1;
    vf column[VL];
    for (long j = 0; j < streams; j++, p += PAIR) {
        long row = s->at + n + j;
        vf h = load_some(l->h + (row + l->N) * H + u, width);
        vf later = last ? load_some(l->dh + (s->first + n + j) * H + u, width) : load(p);
        vf d_h = load_some(l->d_out + row * H + u, width) + later;
        vf slope = l->kind ? choose(h > splat(0.0f), splat(1.0f), splat(0.0f)) : negated_fma(h, h, splat(1.0f));
        column[j] = d_h * slope;
        store_some(l->work + row * H + u, column[j], width);
    }
    hand_on(s, column, 0, u, width, n, streams);
}

static void rnn_forward_share(void *context, int share, int shares)
{
    const layer *l = context;
    forward_pass(l, share, shares, 1, l->ids ? 0 : 1, rnn_forward_units); // `work` holds the inputs if there are no symbols
}

static void rnn_backward_share(void *context, int share, int shares)
{
    backward_pass(context, share, shares, 1, 1, rnn_backward_units, keep_product);
}

// LSTM (equations: charrnn/cells/lstm.py). Gates i, f, g, o; work (T, N, 4H); saved tanh(c).
#include "recurrence.h"

INLINE void lstm_forward_units(const step *s, const float *p, long u, long width, long n, long streams)
{
    const layer *l = s->l;
    long H = s->H;
    vf column[VL];
    for (long j = 0; j < streams; j++, p += PAIR) {
        long row = s->at + n + j;
        float *a = l->work + row * 4 * H;
        const float *x = inputs(s, 4, n + j, a);
        vf v[4]; // i, f, o, g
        v[0] = input(l, x, 0, u, width) + load(p);
        v[1] = input(l, x, 1, u, width) + load(p + GATE);
        v[2] = input(l, x, 3, u, width) + load(p + 3 * GATE);
        v[3] = input(l, x, 2, u, width) + load(p + 2 * GATE);
        squash(3, 1, v);
        column[j] = fma_(v[1], load_some(l->c + row * H + u, width), v[0] * v[3]);
        store_some(a + u, v[0], width);
        store_some(a + H + u, v[1], width);
        store_some(a + 2 * H + u, v[3], width);
        store_some(a + 3 * H + u, v[2], width);
        store_some(l->c + (row + l->N) * H + u, column[j], width);
    }
    hyperbolic_tangents(column, streams);
    for (long j = 0; j < streams; j++) {
        long row = s->at + n + j;
        store_some(l->saved + row * H + u, column[j], width);
        column[j] = load_some(l->work + (4 * row + 3) * H + u, width) * column[j];
        store_some(l->h + (row + l->N) * H + u, column[j], width);
    }
    hand_on(s, column, 0, u, width, n, streams);
}

INLINE void lstm_backward_units(const step *s, const float *p, long u, long width, long n, long streams)
{
    const layer *l = s->l;
    long H = s->H;
    int last = s->t == l->T - 1;
    vf column[4][VL];
    for (long j = 0; j < streams; j++, p += PAIR) {
        long row = s->at + n + j, stream = (s->first + n + j) * H + u;
        float *a = l->work + row * 4 * H + u, *dc = l->dc + stream;
        vf i = load_some(a, width), f = load_some(a + H, width);
        vf g = load_some(a + 2 * H, width), o = load_some(a + 3 * H, width);
        vf tanh_c = load_some(l->saved + row * H + u, width);
        vf d_h = load_some(l->d_out + row * H + u, width) + (last ? load_some(l->dh + stream, width) : load(p));
        vf d_o = d_h * o, d_c = load_some(dc, width) + negated_fma(d_o * tanh_c, tanh_c, d_o); // dh o (1 - tanh² c)
        vf d_ci = d_c * i, d_cf = d_c * f;
        vf d_i = d_ci * g, d_f = d_cf * load_some(l->c + row * H + u, width), d_to = d_o * tanh_c;
        d_i = negated_fma(d_i, i, d_i);                // dc g · i (1 - i)
        d_f = negated_fma(d_f, f, d_f);                // dc c' · f (1 - f)
        vf d_g = negated_fma(d_ci * g, g, d_ci);     // dc i · (1 - g²)
        d_o = negated_fma(d_to, o, d_to);              // dh tanh(c) · o (1 - o)
        store_some(dc, d_cf, width);
        store_some(a, d_i, width);
        store_some(a + H, d_f, width);
        store_some(a + 2 * H, d_g, width);
        store_some(a + 3 * H, d_o, width);
        column[0][j] = d_i;
        column[1][j] = d_f;
        column[2][j] = d_g;
        column[3][j] = d_o;
    }
    for (long g = 0; g < 4; g++) hand_on(s, column[g], g, u, width, n, streams);
}

static void lstm_forward_share(void *context, int share, int shares)
{
    forward_pass(context, share, shares, 4, 4, lstm_forward_units);
}

static void lstm_backward_share(void *context, int share, int shares)
{
    backward_pass(context, share, shares, 4, 4, lstm_backward_units, keep_product);
}

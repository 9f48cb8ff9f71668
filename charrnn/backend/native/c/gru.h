// GRU in both forms (equations: charrnn/cells/gru.py). Gates r, z, n.
//
// Reset after the product: work (T, N, 4H) holds u = U_n h' + b'_n, r, z, n, and their gradients.
// Reset before it: work (T, N, 3H) holds r, z, n, and saved r ⊙ h'.
#include "recurrence.h"

// h from z, n and h'
INLINE vf gru_state(vf z, vf n, vf before) { return fma_(z, before - n, n); }

// ∂L/∂n's pre-activation, from dh = ∂L/∂h: dh (1 - z) (1 - n²)
INLINE vf gru_d_n(vf d_h, vf z, vf n) { return negated_fma(z, d_h, d_h) * negated_fma(n, n, splat(1.0f)); }

// ∂L/∂(pre-activation) of a logistic gate s, from d = ∂L/∂s
INLINE vf gru_d_gate(vf d, vf s) { return d * negated_fma(s, s, s); }

INLINE void gru_after_forward_units(const step *s, const float *p, long u, long width, long n0, long streams)
{
    const layer *l = s->l;
    long H = s->H;
    vf column[VL], extra = load_some(l->extra + u, width);
    for (long j = 0; j < streams; j++, p += PAIR) {
        long row = s->at + n0 + j;
        float *a = l->work + row * 4 * H;
        const float *x = inputs(s, 3, n0 + j, a + H);
        vf v = load(p + 2 * GATE) + extra, gates[2];
        gates[0] = input(l, x, 0, u, width) + load(p);
        gates[1] = input(l, x, 1, u, width) + load(p + GATE);
        squash(2, 0, gates);
        column[j] = fma_(gates[0], v, input(l, x, 2, u, width));
        store_some(a + u, v, width);
        store_some(a + H + u, gates[0], width);
        store_some(a + 2 * H + u, gates[1], width);
    }
    hyperbolic_tangents(column, streams);
    for (long j = 0; j < streams; j++) {
        long row = s->at + n0 + j;
        float *a = l->work + row * 4 * H + u;
        store_some(a + 3 * H, column[j], width);
        column[j] = gru_state(load_some(a + 2 * H, width), column[j], load_some(l->h + row * H + u, width));
        store_some(l->h + (row + l->N) * H + u, column[j], width);
    }
    hand_on(s, column, 0, u, width, n0, streams);
}

INLINE void gru_after_backward_units(const step *s, const float *p, long u, long width, long n0, long streams)
{
    const layer *l = s->l;
    long H = s->H;
    int last = s->t == l->T - 1;
    vf column[3][VL];
    for (long j = 0; j < streams; j++, p += PAIR) {
        long row = s->at + n0 + j;
        float *a = l->work + row * 4 * H + u, *dh = l->dh + (s->first + n0 + j) * H + u;
        vf v = load_some(a, width), r = load_some(a + H, width), z = load_some(a + 2 * H, width);
        vf n = load_some(a + 3 * H, width), carried = load_some(dh, width);
        if (!last) carried = carried + load(p);
        vf d_h = load_some(l->d_out + row * H + u, width) + carried;
        vf d_z = (load_some(l->h + row * H + u, width) - n) * d_h, d_n = gru_d_n(d_h, z, n);
        column[0][j] = d_n * r;
        column[1][j] = gru_d_gate(d_n * v, r);
        column[2][j] = gru_d_gate(d_z, z);
        store_some(dh, d_h * z, width);
        store_some(a, column[0][j], width);
        store_some(a + H, column[1][j], width);
        store_some(a + 2 * H, column[2][j], width);
        store_some(a + 3 * H, d_n, width);
    }
    for (long g = 0; g < 3; g++) hand_on(s, column[g], g, u, width, n0, streams);
}

static void gru_after_forward_share(void *context, int share, int shares)
{
    forward_pass(context, share, shares, 3, 4, gru_after_forward_units);
}

static void gru_after_backward_share(void *context, int share, int shares)
{
    backward_pass(context, share, shares, 3, 4, gru_after_backward_units, add_product);
}

INLINE void gru_before_gates(const step *s, const float *p, long u, long width, long n0, long streams)
{
    const layer *l = s->l;
    long H = s->H;
    vf column[VL];
    for (long j = 0; j < streams; j++, p += PAIR) {
        long row = s->at + n0 + j;
        float *a = l->work + row * 3 * H;
        const float *x = inputs(s, 3, n0 + j, a);
        vf gates[2] = {input(l, x, 0, u, width) + load(p), input(l, x, 1, u, width) + load(p + GATE)};
        squash(2, 0, gates);
        column[j] = gates[0] * load_some(l->h + row * H + u, width);
        store_some(a + u, gates[0], width);
        store_some(a + H + u, gates[1], width);
        store_some(l->saved + row * H + u, column[j], width);
    }
    hand_on(s, column, 0, u, width, n0, streams);
}

INLINE void gru_before_candidate(const step *s, const float *p, long u, long width, long n0, long streams)
{
    const layer *l = s->l;
    long H = s->H;
    vf column[VL];
    for (long j = 0; j < streams; j++, p += PAIR)
        column[j] = input(l, inputs(s, 3, n0 + j, l->work + (s->at + n0 + j) * 3 * H), 2, u, width) + load(p);
    hyperbolic_tangents(column, streams);
    for (long j = 0; j < streams; j++) {
        long row = s->at + n0 + j;
        float *a = l->work + row * 3 * H + u;
        store_some(a + 2 * H, column[j], width);
        column[j] = gru_state(load_some(a + H, width), column[j], load_some(l->h + row * H + u, width));
        store_some(l->h + (row + l->N) * H + u, column[j], width);
    }
    hand_on(s, column, 0, u, width, n0, streams);
}

// From ∂L/∂h to n's pre-activation. dh becomes the part that z passes on; room receives ∂L/∂z.
INLINE void gru_before_d_candidate(const step *s, const float *p, long u, long width, long n0, long streams)
{
    const layer *l = s->l;
    long H = s->H;
    int last = s->t == l->T - 1;
    vf column[VL];
    for (long j = 0; j < streams; j++, p += PAIR) {
        long row = s->at + n0 + j, stream = (s->first + n0 + j) * H + u;
        float *a = l->work + row * 3 * H + u, *dh = l->dh + stream;
        vf z = load_some(a + H, width), n = load_some(a + 2 * H, width), carried = load_some(dh, width);
        if (!last) carried = carried + load(p);
        vf d_h = load_some(l->d_out + row * H + u, width) + carried;
        store_some(l->room + stream, (load_some(l->h + row * H + u, width) - n) * d_h, width);
        store_some(dh, d_h * z, width);
        column[j] = gru_d_n(d_h, z, n);
        store_some(a + 2 * H, column[j], width);
    }
    hand_on(s, column, 0, u, width, n0, streams);
}

// From ∂L/∂(r ⊙ h'), which the products give, to r's and z's pre-activations.
INLINE void gru_before_d_gates(const step *s, const float *p, long u, long width, long n0, long streams)
{
    const layer *l = s->l;
    long H = s->H;
    vf column[2][VL];
    for (long j = 0; j < streams; j++, p += PAIR) {
        long row = s->at + n0 + j, stream = (s->first + n0 + j) * H + u;
        float *a = l->work + row * 3 * H + u, *dh = l->dh + stream;
        vf r = load_some(a, width), d = load(p);
        store_some(dh, fma_(d, r, load_some(dh, width)), width);
        column[0][j] = gru_d_gate(d * load_some(l->h + row * H + u, width), r);
        column[1][j] = gru_d_gate(load_some(l->room + stream, width), load_some(a + H, width));
        store_some(a, column[0][j], width);
        store_some(a + H, column[1][j], width);
    }
    for (long g = 0; g < 2; g++) hand_on(s, column[g], g, u, width, n0, streams);
}

static void gru_before_forward_share(void *context, int share, int shares)
{
    const layer *l = context;
    step s = share_of(l, share, shares);
    long H = s.H, places = PLACES(H), size = OPERAND(places, s.count), blocks = (H + PAIR - 1) / PAIR;
    if (!s.count) return;
    float *h = operands(&s, 2, places, 2 * GATE), *reset = h + size, *products = reset + size;
    s.stride = STRIDE(places, s.count);
    pack_rows(s.count, H, l->h + s.first * H, H, h, s.stride);
    for (long t = 0; t < l->T; t++) {
        at_step(&s, t);
        s.next = reset;
        sweep(&s, 0, 2, places, l->forth, h, FORTH, 3, products, gru_before_gates);
        s.next = h; // the products of h' are done
        sweep(&s, 0, 1, places, l->forth + 2 * blocks * places * PAIR, reset, NEAR, 0, products, gru_before_candidate);
    }
}

static void gru_before_backward_share(void *context, int share, int shares)
{
    const layer *l = context;
    step s = share_of(l, share, shares);
    long H = s.H, places = PLACES(H), size = OPERAND(places, s.count), blocks = (H + PAIR - 1) / PAIR;
    const float *of_n = l->back + blocks * 2 * places * PAIR;
    if (!s.count) return;
    float *gates = operands(&s, 3, places, GATE), *candidate = gates + 2 * size, *products = candidate + size;
    for (long t = l->T - 1; t >= 0; t--) {
        at_step(&s, t);
        s.next = candidate;
        s.stride = STRIDE(places, s.count);
        sweep(&s, 0, 1, 2 * places, l->back, t < l->T - 1 ? gates : 0, BACK, 3, products, gru_before_d_candidate);
        s.next = gates;
        s.stride = STRIDE(2 * places, s.count);
        sweep(&s, 0, 1, places, of_n, candidate, NEAR, 0, products, gru_before_d_gates);
    }
    sweep(&s, 0, 1, 2 * places, l->back, gates, NEAR, 0, products, add_product);
}

// Computes everything that the compiled core computes, in many shapes, and prints a line for each case: its
// name, its shape, and a digest of all it writes. Built for any processor, with any compiler, it prints the
// same. Numbers come from a generator of integers; no panels are digested, for they depend on VL.
//
// Each case is computed by 1, 2 and 3 threads, which must agree, and nothing may be written behind an array.
#include "core.c"

#include <stdio.h>

#define GUARD 256 // bytes behind each array that must not change
#define SYMBOLS 6 // read by recurrences

static uint64_t state, digest;
static _Alignas(64) unsigned char memory[1 << 24];
static size_t used, ends[256];
static int arrays;

static uint64_t next_integer(void) // splitmix64
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

// Memory that holds a number which nothing computes
static void *room(size_t bytes)
{
    unsigned char *p = memory + used;
    used = (used + bytes + GUARD + 63) / 64 * 64;
    if (used > sizeof memory || arrays == 256) abort();
    memset(p, 0x4B, bytes);
    memset(p + bytes, 0xA5, GUARD);
    ends[arrays++] = (size_t)(p + bytes - memory);
    return p;
}

static int guards_changed(void)
{
    for (int k = 0; k < arrays; k++)
        for (int i = 0; i < GUARD; i++)
            if (memory[ends[k] + i] != 0xA5) return 1;
    return 0;
}

static float *floats(long count) { return room((size_t)count * sizeof(float)); }
static double *doubles(long count) { return room((size_t)count * sizeof(double)); }

// A number in [-1, 1), a multiple of 2^-23
static float number(void) { return (float)((int32_t)(next_integer() >> 40) - (1 << 23)) * 0x1p-23f; }

static float *numbers(long count, float most)
{
    float *p = floats(count);
    for (long i = 0; i < count; i++) p[i] = number() * most;
    return p;
}

static int32_t *symbols(long count, long V)
{
    int32_t *p = room((size_t)count * sizeof(int32_t));
    for (long i = 0; i < count; i++) p[i] = (int32_t)(next_integer() % (uint64_t)V);
    return p;
}

static void digest_word(uint64_t word) { digest = ((digest ^ word) * 0x100000001B3u) ^ (digest >> 29); }

static void result(const float *p, long count)
{
    for (long i = 0; i < count; i++) {
        uint32_t word;
        memcpy(&word, p + i, 4);
        digest_word(p[i] == p[i] ? word : 0x7FC00000u); // NaN is NaN, whatever its sign and payload
    }
}

static void result_d(const double *p, long count)
{
    for (long i = 0; i < count; i++) {
        uint64_t word;
        memcpy(&word, p + i, 8);
        digest_word(p[i] == p[i] ? word : 0x7FF8000000000000u);
    }
}

static float *forth(int threads, long groups, long rows, long K, const float *matrix)
{
    float *panels = floats(groups * padded(rows, PAIR) * PLACES(K));
    forth_job w = {.groups = groups, .rows = rows, .K = K, .matrix = matrix, .panels = panels};
    charrnn_forth(threads, &w);
    return panels;
}

static void pack_back(int threads, long K, long M, long group, const float *matrix, long start, float *panels)
{
    back_job w = {.K = K, .M = M, .group = group, .matrix = matrix, .start = start, .panels = panels};
    charrnn_back(threads, &w);
}

static float *back(int threads, long K, long M, const float *matrix)
{
    float *panels = floats(padded(M, PAIR) * PLACES(K));
    pack_back(threads, K, M, K, matrix, 0, panels);
    return panels;
}

typedef struct {
    void (*forward)(int, layer *), (*backward)(int, layer *);
    share_fn *share;
    long gates, groups, offset; // H · these: rows of the weights, of `work`, and where its input products are
    int c, saved, kind;
} cell;

static const cell lstm = {charrnn_lstm_forward, charrnn_lstm_backward, charrnn_lstm_share, 4, 4, 0, 1, 1, 0};
static const cell gru_after = {charrnn_gru_after_forward, charrnn_gru_after_backward, charrnn_gru_after_share, 3, 4, 1, 0, 0, 0};
static const cell gru_before = {charrnn_gru_before_forward, charrnn_gru_before_backward, charrnn_gru_before_share, 3, 3, 0, 0, 1, 0};
static const cell rnn = {charrnn_rnn_forward, charrnn_rnn_backward, charrnn_rnn_share, 1, 1, 0, 0, 0, 0};
static const cell relu = {charrnn_rnn_forward, charrnn_rnn_backward, charrnn_rnn_share, 1, 1, 0, 0, 0, 1};

// A layer that reads ids, of V symbols, or dense input if V is 0
static layer *new_layer(const cell *a, int threads, long T, long N, long H, long V)
{
    layer *l = room(sizeof(layer));
    long gates = a->gates * H, states = N * H;
    const float *hh = numbers(gates * H, 0.5f);
    float *panels = floats(a->gates * padded(H, PAIR) * PLACES(H));
    if (a == &gru_before) {
        pack_back(threads, 2 * H, H, H, hh, 0, panels);
        pack_back(threads, H, H, H, hh + 2 * H * H, 0, panels + 2 * padded(H, PAIR) * PLACES(H));
    } else {
        pack_back(threads, gates, H, H, hh, a == &gru_after ? 2 : 0, panels);
    }
    *l = (layer){.T = T, .N = N, .H = H, .kind = a->kind, .back = panels, .forth = forth(threads, a->gates, H, H, hh)};
    if (V) {
        l->table = numbers(V * gates, 4.0f);
        l->ids = symbols(T * N, V);
    }
    l->bias = numbers(gates, 1.0f);
    l->extra = numbers(H, 1.0f);
    l->work = V ? floats(T * N * a->groups * H) : numbers(T * N * a->groups * H, 4.0f);
    l->h = numbers((T + 1) * states, 1.0f);
    if (a->c) l->c = numbers((T + 1) * states, 2.0f);
    if (a->saved) l->saved = floats(T * states);
    l->d_out = numbers(T * states, 1.0f);
    l->dh = numbers(states, 1.0f);
    l->dc = numbers(states, 1.0f);
    l->room = floats(states);
    return l;
}

static void recurrence(const void *of, const long *at, int threads)
{
    const cell *a = of;
    long T = at[0], N = at[1], H = at[2], states = N * H, work = T * N * a->groups * H;
    layer *l = new_layer(a, threads, T, N, H, at[3] ? SYMBOLS : 0);
    a->forward(threads, l);
    result(l->work, work);
    result(l->h, (T + 1) * states);
    if (l->c) result(l->c, (T + 1) * states);
    if (l->saved) result(l->saved, T * states);
    a->backward(threads, l);
    result(l->work, work);
    result(l->dh, states);
    if (l->c) result(l->dc, states);
}

static void products(const void *of, const long *at, int threads)
{
    long rows = at[0], K = at[1], M = at[2], x_ld = K + 2, out_ld = M + 3;
    const float *matrix = numbers(M * K, 1.0f);
    float *panels = of ? back(threads, K, M, matrix) : forth(threads, 1, M, K, matrix), *out = floats(rows * out_ld);
    rows_job w = {.rows = rows, .K = K, .M = M, .panels = panels, .x = numbers(rows * x_ld, 1.0f), .x_ld = x_ld, .out = out, .out_ld = out_ld};
    charrnn_rows(threads, &w);
    result(out, rows * out_ld);
}

static void outer(const void *of, const long *at, int threads)
{
    long rows = at[0], F = at[1], M1 = at[2], M2 = at[3], add = at[4], summed = !of;
    outer_job w = {.rows = rows, .F = F, .d = numbers(rows * (F + 3), 1.0f), .d_ld = F + 3, .add = add, .sums = summed ? numbers(F, 1.0f) : 0};
    w.factors[0] = (outer_factor){.M = M1, .x = numbers(rows * (M1 + 1), 1.0f), .x_ld = M1 + 1, .out = numbers(F * M1, 1.0f)};
    if (M2) w.factors[1] = (outer_factor){.M = M2, .x = numbers(rows * M2, 1.0f), .x_ld = M2, .out = numbers(F * M2, 1.0f)};
    charrnn_outer(threads, &w);
    result(w.factors[0].out, F * M1);
    if (M2) result(w.factors[1].out, F * M2);
    if (summed) result(w.sums, F);
}

static void one_hot(const void *of, const long *at, int threads)
{
    long rows = at[0], F = at[1], M = at[2];
    outer_job w = {.rows = rows, .F = F, .d = numbers(rows * F, 1.0f), .d_ld = F, .sums = floats(F), .V = SYMBOLS, .ids = symbols(rows, SYMBOLS)};
    w.symbols = floats(F * SYMBOLS);
    if (M) w.factors[0] = (outer_factor){.M = M, .x = numbers(rows * M, 1.0f), .x_ld = M, .out = floats(F * M)};
    charrnn_outer(threads, &w);
    result(w.symbols, F * SYMBOLS);
    result(w.sums, F);
    if (M) result(w.factors[0].out, F * M);
}

static void sums(const void *of, const long *at, int threads)
{
    long rows = at[0], F = at[1];
    sum_job w = {.rows = rows, .F = F, .d = numbers(rows * (F + 1), 1.0f), .d_ld = F + 1, .out = floats(F)};
    charrnn_sum(threads, &w);
    result(w.out, F);
    symbols_job s = {.rows = rows, .F = F, .V = SYMBOLS, .d = w.d, .d_ld = w.d_ld, .ids = symbols(rows, SYMBOLS), .out = floats(SYMBOLS * F)};
    charrnn_symbols(threads, &s);
    result(s.out, SYMBOLS * F);
}

static void transposed(const void *of, const long *at, int threads)
{
    long R = at[0], C = at[1];
    transpose_job w = {.R = R, .C = C, .matrix = numbers(R * C, 1.0f), .bias = at[2] ? numbers(R, 1.0f) : 0, .out = floats(R * C)};
    charrnn_transpose(threads, &w);
    result(w.out, R * C);
}

// What stands in some logits' bias, by the number of the case: nothing, zero probability, and what goes wrong
static const float ODD[] = {0.0f, -HUGE_VALF, 1e4f, HUGE_VALF, NAN};

static void losses(const void *of, const long *at, int threads)
{
    long rows = at[0], H = at[1], V = at[2], gradients = at[3], added = at[4], odd = of ? at[5] : 0;
    const float *decoder = numbers(V * H, 1.0f);
    float *bias = numbers(V, 4.0f);
    if (odd) bias[V / 2] = ODD[odd];
    loss_job w = {.rows = rows, .H = H, .V = V, .top = numbers(rows * (H + 1), 1.0f), .top_ld = H + 1, .bias = bias};
    w.forth = forth(threads, 1, V, H, decoder);
    w.back = back(threads, V, H, decoder);
    w.targets = symbols(rows, V);
    w.scale = 1.0 / 3.0;
    w.nats = doubles(rows);
    if (gradients) {
        w.d_logits = floats(rows * V);
        w.d_top = floats(rows * H);
    }
    if (added) {
        w.added = numbers(rows * V, 8.0f);
        w.kept = 0.7f;
    }
    charrnn_loss(threads, &w);
    result_d(w.nats, rows);
    if (gradients) result(w.d_logits, rows * V);
    if (gradients) result(w.d_top, rows * H);
}

// The key of the k symbols (+ 1) before place i of stream n in `read` (·, N), which is sorted into `keys`
static long put_key(const int64_t *read, long N, long n, long i, long k, uint64_t *keys, long contexts)
{
    uint64_t sum = 0, power = 1;
    for (long j = 0; j < k; j++, power *= 0x9E3779B97F4A7C15u) sum += (uint64_t)read[(i - j) * N + n] * power;
    uint64_t key = key_of(sum, k);
    long c = contexts;
    for (long j = 0; j < contexts; j++)
        if (keys[j] == key) return contexts;
    for (; c > 0 && keys[c - 1] > key; c--) keys[c] = keys[c - 1];
    keys[c] = key;
    return contexts + 1;
}

// n-grams of V symbols whose contexts are some of what was read (places, N)
static counted_tables *new_tables(long V, const int64_t *read, long places, long N, int paired)
{
    counted_tables *w = room(sizeof(counted_tables));
    long most = places * N * 3, contexts = 0;
    uint64_t *keys = room((size_t)most * sizeof(uint64_t));
    for (long i = 2; i < places; i++)
        for (long n = 0; n < N; n++)
            for (long k = 1; k <= 3; k++)
                if ((i + n + k) % 4) contexts = put_key(read, N, n, i, k, keys, contexts);
    double *left = doubles(contexts), *p = doubles(2 * contexts), *alone = doubles(V), *pairs = doubles(V * V);
    int64_t *begins = room((size_t)(contexts + 1) * 8), *last = room((size_t)contexts * 16);
    for (long c = 0; c <= contexts; c++) begins[c] = 2 * c;
    for (long c = 0; c < contexts; c++) left[c] = 0.5 + 0.25 * number();
    for (long i = 0; i < 2 * contexts; i++) p[i] = 0.25 + 0.125 * number(), last[i] = (int64_t)(next_integer() % (uint64_t)V);
    for (long v = 0; v < V; v++) alone[v] = (1.5 + number()) / (double)V;
    for (long v = 0; v < V * V; v++) pairs[v] = (1.5 + number()) / (double)V;
    *w = (counted_tables){.V = V, .contexts = contexts, .keys = keys, .left = left, .begins = begins, .symbols = last, .p = p, .alone = alone};
    w->pairs = paired ? pairs : 0;
    w->share = 0.3;
    return w;
}

static int64_t *new_read(long places, long N, long V)
{
    int64_t *read = room((size_t)(places * N) * sizeof(int64_t));
    for (long i = 0; i < places * N; i++) read[i] = i < N ? 0 : 1 + (int64_t)(next_integer() % (uint64_t)V);
    return read;
}

static void counted(const void *of, const long *at, int threads)
{
    long T = at[0], N = at[1], V = at[2], places = LONGEST - 1 + T;
    const int64_t *read = new_read(places, N, V);
    counted_job w = {.tables = new_tables(V, read, places, N, (int)at[3]), .T = T, .N = N, .read = read, .out = floats(T * N * V)};
    charrnn_counted(threads, &w);
    result(w.out, T * N * V);
}

// Two layers that read symbols, or their embeddings, with or without n-grams: a step, then symbols drawn
static void samples(const void *of, const long *at, int threads)
{
    enum { layers = 2, steps = 4, D = 5 };
    const cell *a = of;
    long N = at[0], H = at[1], V = at[2], dense = at[3], mixed = at[4], gates = a->gates * H;
    layer *all[layers] = {new_layer(a, threads, 1, N, H, dense ? 0 : V), new_layer(a, threads, 1, N, H, 0)};
    const float *ih[layers] = {dense ? forth(threads, 1, gates, D, numbers(gates * D, 1.0f)) : 0, forth(threads, 1, gates, H, numbers(gates * H, 1.0f))};
    int32_t *ids = symbols(N, V);
    if (!dense) all[0]->ids = ids;
    const int64_t *read = new_read(LONGEST, N, V);
    sample_job w = {.layers = layers, .N = N, .H = H, .V = V, .D = dense ? D : V, .gates = a->gates, .width = a->groups * H, .offset = a->offset * H};
    w.layer = all;
    w.ih = ih;
    w.forward = a->share;
    w.embedding = dense ? numbers(V * D, 1.0f) : 0;
    w.embedded = floats(N * D);
    float *decoder = numbers(V * H, 1.0f), *bias = numbers(V, 1.0f);
    memcpy(decoder + (V - 1) * H, decoder, (size_t)H * sizeof(float)); // two symbols have equal weights
    bias[V - 1] = bias[0];
    w.decoder = forth(threads, 1, V, H, decoder);
    w.bias = bias;
    w.ids = ids;
    w.logits = floats(N * V);
    w.counted = mixed ? new_tables(V, read, LONGEST, N, 0) : 0;
    w.read = floats((LONGEST - 1) * N);
    for (long i = 0; i < (LONGEST - 1) * N; i++) w.read[i] = (float)read[i];
    charrnn_sample(threads, &w);
    result(w.logits, N * V);

    double *temperature = doubles(steps), *uniform = doubles(steps * N);
    for (long t = 0; t < steps; t++) temperature[t] = 0.5 * (double)t;
    for (long i = 0; i < steps * N; i++) uniform[i] = (double)(next_integer() >> 11) * 0x1p-53;
    draw_job d = {.steps = steps, .model = &w, .unknown = mixed ? 1 : -1, .top_k = dense ? 5 : 0, .top_p = mixed ? 0.9 : 1.0, .min_p = dense ? 0.01 : 0.0};
    d.temperature = temperature;
    d.uniform = uniform;
    d.drawn = symbols(steps * N, V);
    d.logits = floats(steps * N * V);
    charrnn_draw(threads, &d);
    result(d.logits, steps * N * V);
    for (long i = 0; i < steps * N; i++) digest_word((uint64_t)d.drawn[i]);
    digest_word((uint64_t)d.done);
    for (long k = 0; k < layers; k++) result(all[k]->h, 2 * N * H);
}

static void updates(const void *of, const long *at, int threads)
{
    long count = at[0], decayed = at[1], broken = at[2];
    const char *name = of;
    float *w = numbers(count, 1.0f), *g = numbers(count, 1.0f), *m = numbers(count, 1.0f), *v = numbers(count, 1.0f);
    float scale = 0.3f, decay = decayed ? 0.01f : 0.0f;
    int64_t told = 0;
    for (long i = 0; i < count; i++) v[i] = v[i] < 0.0f ? -v[i] : v[i];
    if (broken) g[count / 2] = HUGE_VALF;
    if (name[0] == 'a' || name[0] == 'd') {
        adam_job a = {.count = count, .w = w, .g = g, .m = m, .v = v, .scale = scale, .decay = decay, .kept = decayed ? 0.99f : 1.0f, .rate = 0.01f, .root = 1.5f, .keep1 = 0.1f, .keep2 = 0.001f, .epsilon = 1e-8f};
        (name[0] == 'a' ? charrnn_adam : charrnn_direct)(threads, &a);
        told = a.broken;
    } else if (name[0] == 's') {
        sgd_job a = {.count = count, .w = w, .g = g, .u = m, .scale = scale, .decay = decay, .lr = 0.1f, .momentum = 0.9f};
        charrnn_sgd(threads, &a);
        told = a.broken;
    } else if (name[0] == 'r') {
        rmsprop_job a = {.count = count, .w = w, .g = g, .v = v, .scale = scale, .decay = decay, .lr = 0.1f, .alpha = 0.99f, .keep = 0.01f, .epsilon = 1e-8f};
        charrnn_rmsprop(threads, &a);
        told = a.broken;
    } else {
        move_job a = {.count = count, .w = w, .u = g, .rate = 0.1f};
        charrnn_move(threads, &a);
        told = a.broken;
    }
    float *all[] = {w, g, m, v};
    for (int k = 0; k < 4; k++) result(all[k], count);
    digest_word((uint64_t)told);
}

static void dropout(const void *of, const long *at, int threads)
{
    long T = at[0], H = at[1], N = at[2];
    dropout_job w = {.T = T, .H = H, .N = N, .each_t = H * N, .each_h = at[3] ? N : 1, .each_n = at[3] ? 1 : H, .layer = 1, .step = 7, .seed = 5, .purpose = 3, .threshold = 1u << 30, .scale = 1.25f, .out = floats(T * H * N)};
    charrnn_dropout(threads, &w);
    result(w.out, T * H * N);
}

static void squared(const void *of, const long *at, int threads)
{
    float *g = numbers(at[0], 1.0f);
    for (long i = 0; i < at[0]; i++) g[i] /= (float)(1u << next_integer() % 32); // far apart: order matters
    squares_job w = {.count = at[0], .g = g, .block = at[1]};
    charrnn_squares(threads, &w);
    result_d(&w.total, 1);
}

// Numbers up to 100, and any: subnormal ones, infinities and NaN are among them.
static void elementary(const void *of, const long *at, int threads)
{
    long count = at[0];
    float *x = numbers(count, 100.0f);
    double *d = doubles(count);
    for (long i = 0; i < count; i++) {
        uint32_t word = (uint32_t)(next_integer() >> 32), odd[] = {0u, 1u << 31, 1u, 0x7F800000u, 0xFF800000u, 0x7FC00000u, 0x80000001u, 0x007FFFFFu};
        if (i % 2) memcpy(x + i, i % 64 == 1 ? odd + i / 64 % 8 : &word, 4);
        d[i] = (x[i] < 0.0f ? 8.0 : -8.0) * x[i] * (1.0 + 0x1p-30 * number());
    }
    elementary_job w = {.count = count, .x = x, .exponential = floats(count), .logistic = floats(count), .tanh = floats(count), .d = d, .exponential_d = doubles(count)};
    charrnn_elementary(threads, &w);
    result(w.exponential, count);
    result(w.logistic, count);
    result(w.tanh, count);
    result_d(w.exponential_d, count);
}

typedef struct {
    const char *name;
    int count;
    long values[8];
} axis;

// Every combination of the values of its axes is a case.
typedef struct {
    const char *name;
    void (*compute)(const void *of, const long *at, int threads);
    const void *of;
    axis axes[6];
} kind;

#define WINDOWS {"T", 2, {1, 5}}, {"N", 5, {1, 3, 17, 33, 35}}, {"H", 4, {1, 7, 33, 64}}, {"ids", 2, {0, 1}}
#define STREAMS {"N", 3, {1, 3, 17}}, {"H", 2, {7, 33}}, {"V", 2, {7, 33}}, {"dense", 2, {0, 1}}, {"mixed", 2, {0, 1}}
#define MATRICES {"rows", 5, {1, 3, 6, 17, 60}}, {"K", 3, {1, 7, 64}}, {"M", 5, {1, 7, 33, 65, 130}}
#define FACTORS {"rows", 3, {1, 5, 300}}, {"F", 4, {1, 7, 33, 64}}, {"M1", 3, {1, 9, 40}}, {"M2", 2, {0, 5}}, {"add", 2, {0, 1}}
#define LOGITS {"V", 6, {1, 3, 7, 33, 65, 100}}, {"gradients", 2, {0, 1}}, {"added", 2, {0, 1}}
#define WEIGHTS {"count", 4, {1, 7, 33, 1000}}, {"decay", 2, {0, 1}}, {"broken", 2, {0, 1}}

static const kind KINDS[] = {
    {"elementary", elementary, 0, {{"count", 3, {1, 7, 20000}}}},
    {"lstm", recurrence, &lstm, {WINDOWS}},
    {"gru after", recurrence, &gru_after, {WINDOWS}},
    {"gru before", recurrence, &gru_before, {WINDOWS}},
    {"rnn tanh", recurrence, &rnn, {WINDOWS}},
    {"rnn relu", recurrence, &relu, {WINDOWS}},
    {"forth and rows", products, 0, {MATRICES}},
    {"back and rows", products, "back", {MATRICES}},
    {"outer and sums", outer, 0, {FACTORS}},
    {"outer", outer, "alone", {FACTORS}},
    {"outer of symbols", one_hot, 0, {{"rows", 3, {1, 5, 300}}, {"F", 4, {1, 7, 33, 64}}, {"M", 2, {0, 9}}}},
    {"sum and symbols", sums, 0, {{"rows", 3, {1, 5, 40}}, {"F", 5, {1, 7, 33, 64, 130}}}},
    {"transpose", transposed, 0, {{"R", 5, {1, 3, 7, 33, 64}}, {"C", 5, {1, 3, 7, 33, 64}}, {"bias", 2, {0, 1}}}},
    {"loss", losses, 0, {{"rows", 4, {1, 3, 17, 60}}, {"H", 2, {1, 33}}, LOGITS}},
    {"loss, odd", losses, "odd", {{"rows", 1, {5}}, {"H", 1, {9}}, LOGITS, {"odd", 4, {1, 2, 3, 4}}}},
    {"counted", counted, 0, {{"T", 2, {1, 5}}, {"N", 2, {1, 3}}, {"V", 4, {1, 5, 33, 40}}, {"pairs", 2, {0, 1}}}},
    {"draw, lstm", samples, &lstm, {STREAMS}},
    {"draw, gru after", samples, &gru_after, {STREAMS}},
    {"draw, gru before", samples, &gru_before, {STREAMS}},
    {"draw, rnn", samples, &rnn, {STREAMS}},
    {"adam", updates, "adam", {WEIGHTS}},
    {"direct", updates, "direct", {WEIGHTS}},
    {"move", updates, "move", {WEIGHTS}},
    {"sgd", updates, "sgd", {WEIGHTS}},
    {"rmsprop", updates, "rmsprop", {WEIGHTS}},
    {"dropout", dropout, 0, {{"T", 2, {1, 3}}, {"H", 3, {1, 7, 33}}, {"N", 2, {1, 5}}, {"order", 2, {0, 1}}}},
    {"squares", squared, 0, {{"count", 5, {1, 7, 33, 64, 5000}}, {"block", 2, {64, 4096}}}},
};

// Computes a case; returns how many things went wrong.
static int print_case(const kind *k, const long *at, uint64_t number)
{
    uint64_t first = 0;
    int wrong = 0;
    printf("%s", k->name);
    for (int i = 0; i < 6 && k->axes[i].count; i++) printf(" %s=%ld", k->axes[i].name, at[i]);
    for (int threads = 1; threads <= 3; threads++) {
        state = number;
        digest = 0xCBF29CE484222325u;
        used = 0, arrays = 0;
        k->compute(k->of, at, threads);
        if (threads == 1) printf(": %016llx", (unsigned long long)(first = digest));
        if (digest != first) wrong++, printf(", with %d threads %016llx", threads, (unsigned long long)digest);
        if (guards_changed()) wrong++, printf(", with %d threads an array is overrun", threads);
    }
    printf("\n");
    return wrong;
}

int main(void)
{
    int wrong = 0;
    uint64_t number = 0;
    for (const kind *k = KINDS; k < KINDS + sizeof KINDS / sizeof *KINDS; k++) {
        long cases = 1;
        for (int i = 0; i < 6 && k->axes[i].count; i++) cases *= k->axes[i].count;
        for (long c = 0; c < cases; c++) {
            long at[6] = {0}, rest = c;
            for (int i = 0; i < 6 && k->axes[i].count; rest /= k->axes[i++].count) at[i] = k->axes[i].values[rest % k->axes[i].count];
            wrong += print_case(k, at, number++);
        }
    }
    return wrong != 0;
}

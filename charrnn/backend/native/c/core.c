// The compiled core: what charrnn/backend/native calls. Every function takes a number of threads, on
// which no result depends. Nor does one depend on the processor, except in a library built with BF16 (or
// AMX, which needs BF16 too).
#include "counted.h"
#include "draw.h"
#include "dropout.h"
#include "gru.h"
#include "loss.h"
#include "lstm.h"
#include "products.h"
#include "rnn.h"
#include "update.h"

#define API __attribute__((visibility("default")))
#define SHARED(name, share, job) \
    API void charrnn_##name(int threads, job *work) { run(threads, share, work); } \
    API int charrnn_##name##_size(void) { return (int)sizeof(job); }

// A cell, and one share of its forward pass for sample.h
#define CELL(name) \
    SHARED(name##_forward, name##_forward_share, layer) \
    SHARED(name##_backward, name##_backward_share, layer) \
    API void charrnn_##name##_share(void *work, int share, int shares) { name##_forward_share(work, share, shares); }

API int charrnn_panel(void) { return PAIR; }
API int64_t charrnn_places(int64_t terms) { return PLACES(terms); }

// Whether this process can run the library, as far as its target's features do not tell
API int charrnn_usable(void)
{
#if defined(AMX)
    return matrix_unit();
#elif defined(BF16) && defined(__aarch64__)
    return dot_products();
#else
    return 1;
#endif
}

// The digest of the source that this is compiled from: a library of another one is not opened.
API const char *charrnn_source(void) { return CHARRNN_SOURCE; }

CELL(lstm)
CELL(gru_after)
CELL(gru_before)
CELL(rnn)
SHARED(rows, rows_share, rows_job)
SHARED(outer, outer_share, outer_job)
SHARED(sum, sum_share, sum_job)
SHARED(forth, forth_share, forth_job)
SHARED(back, back_share, back_job)
SHARED(transpose, transpose_share, transpose_job)
SHARED(symbols, symbols_share, symbols_job)
SHARED(loss, loss_share, loss_job)
SHARED(counted, counted_share, counted_job)
SHARED(adam, adam_share, adam_job)
SHARED(direct, direct_share, adam_job)
SHARED(move, move_share, move_job)
SHARED(sgd, sgd_share, sgd_job)
SHARED(rmsprop, rmsprop_share, rmsprop_job)
SHARED(dropout, dropout_share, dropout_job)

API void charrnn_nats(int threads, nats_job *work) { (void)threads, add_nats(work); }
API int charrnn_nats_size(void) { return (int)sizeof(nats_job); }
API void charrnn_squares(int threads, squares_job *work) { squares(threads, work); }
API int charrnn_squares_size(void) { return (int)sizeof(squares_job); }
API void charrnn_sample(int threads, sample_job *work) { sample(threads, work); }
API int charrnn_sample_size(void) { return (int)sizeof(sample_job); }
API void charrnn_draw(int threads, draw_job *work) { draw(threads, work); }
API int charrnn_draw_size(void) { return (int)sizeof(draw_job); }

// For tests alone: the elementary functions of many numbers
typedef struct {
    int64_t count;
    const float *x;
    float *exponential, *logistic, *tanh;
    const double *d; // (count), at most 0
    double *exponential_d;
} elementary_job;

API void charrnn_elementary(int threads, elementary_job *w)
{
    (void)threads;
    for (long i = 0; i < w->count; i += VL) {
        vf x = load_some(w->x + i, w->count - i), both[2] = {x, x};
        squash(1, 1, both);
        exponential(1, &x);
        store_some(w->exponential + i, x, w->count - i);
        store_some(w->logistic + i, both[0], w->count - i);
        store_some(w->tanh + i, both[1], w->count - i);
    }
    for (long i = 0; i < w->count; i++) w->exponential_d[i] = exponential_d(ALL(w->d[i]))[0];
}

// Threads that share a piece of work: run(n, f, context) calls f(context, k, n) for k = 0 … n - 1
// concurrently.
//
// Threads are started when they are first needed and wait for work afterwards. Each takes the next
// share that nobody has taken, the caller too: a thread that another program keeps from running
// delays no one. While another caller uses the threads, the calls are made one after the other; no
// result depends on which thread computes it.
#ifndef CHARRNN_POOL_H
#define CHARRNN_POOL_H

#include <pthread.h>
#include <stdatomic.h>

#include "amx.h"

#define MOST_THREADS 256
#define SPINS 1000 // about 10 to 30 µs: the next piece of work often comes that soon

typedef void share_fn(void *context, int share, int shares);

static struct {
    pthread_mutex_t user; // held by the caller whose work it is
    pthread_mutex_t lock; // of `work` and `done`
    pthread_cond_t work, done;
    _Atomic(share_fn *) f;
    _Atomic(void *) context;
    atomic_int finished;
    atomic_uint_fast64_t ticket; // of the piece of work its number, its shares, and the next one
    int threads;                 // started so far
} pool = {
    .user = PTHREAD_MUTEX_INITIALIZER,
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .work = PTHREAD_COND_INITIALIZER,
    .done = PTHREAD_COND_INITIALIZER,
};

#define TICKET(turn, shares) ((uint_fast64_t)(turn) << 32 | (uint_fast64_t)(shares) << 16)
#define TURN(ticket) ((ticket) >> 32)
#define SHARES(ticket) ((int)((ticket) >> 16 & 0xFFFFu))
#define NEXT(ticket) ((int)((ticket) & 0xFFFFu))

INLINE void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

// Take shares of piece `turn` until none is left. What is read of a piece is used only if the ticket
// has not changed when the share is taken: then the piece is not finished, and nothing replaced it.
static void take_shares(uint_fast64_t turn)
{
    for (;;) {
        uint_fast64_t ticket = atomic_load(&pool.ticket);
        share_fn *f = atomic_load(&pool.f);
        void *context = atomic_load(&pool.context);
        int shares = SHARES(ticket), share = NEXT(ticket);
        if (TURN(ticket) != turn || share >= shares) return;
        if (!atomic_compare_exchange_strong(&pool.ticket, &ticket, ticket + 1)) continue;
        MATRIX_UNIT(f(context, share, shares));
        if (atomic_fetch_add(&pool.finished, 1) + 1 == shares) {
            pthread_mutex_lock(&pool.lock);
            pthread_cond_signal(&pool.done);
            pthread_mutex_unlock(&pool.lock);
        }
    }
}

static void *pool_thread(void *unused)
{
    uint_fast64_t seen = 0;
    (void)unused;
    for (;;) {
        for (int spin = 0; spin < SPINS && TURN(atomic_load(&pool.ticket)) == seen; spin++) relax();
        if (TURN(atomic_load(&pool.ticket)) == seen) {
            pthread_mutex_lock(&pool.lock);
            while (TURN(atomic_load(&pool.ticket)) == seen) pthread_cond_wait(&pool.work, &pool.lock);
            pthread_mutex_unlock(&pool.lock);
        }
        seen = TURN(atomic_load(&pool.ticket));
        take_shares(seen);
    }
    return 0;
}

// A forked process has only the thread that called fork. What another one was computing is not its own:
// shares of it that are left would be taken by the threads that this process starts.
static void pool_forked(void)
{
    atomic_store(&pool.ticket, TICKET(TURN(atomic_load(&pool.ticket)), 0));
    pthread_mutex_init(&pool.user, 0);
    pthread_mutex_init(&pool.lock, 0);
    pthread_cond_init(&pool.work, 0);
    pthread_cond_init(&pool.done, 0);
    pool.threads = 0;
}

// Start threads until there are as many; fewer will do.
static void pool_grow(int threads)
{
    static int watched;
    if (!watched) {
        pthread_atfork(0, 0, pool_forked);
        watched = 1;
    }
    for (; pool.threads < threads; pool.threads++) {
        pthread_t thread;
        if (pthread_create(&thread, 0, pool_thread, 0)) return;
        pthread_detach(thread);
    }
}

static void run(int shares, share_fn *f, void *context)
{
    shares = shares > MOST_THREADS ? MOST_THREADS : shares;
    if (shares < 2 || pthread_mutex_trylock(&pool.user)) {
        for (int k = 0; k < shares; k++) MATRIX_UNIT(f(context, k, shares));
        return;
    }
    pool_grow(shares - 1);
    uint_fast64_t turn = TURN(atomic_load(&pool.ticket) + TICKET(1, 0));
    atomic_store(&pool.f, f);
    atomic_store(&pool.context, context);
    atomic_store(&pool.finished, 0);
    pthread_mutex_lock(&pool.lock);
    atomic_store(&pool.ticket, TICKET(turn, shares));
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.lock);
    take_shares(turn);
    for (int spin = 0; spin < SPINS && atomic_load(&pool.finished) < shares; spin++) relax();
    if (atomic_load(&pool.finished) < shares) {
        pthread_mutex_lock(&pool.lock);
        while (atomic_load(&pool.finished) < shares) pthread_cond_wait(&pool.done, &pool.lock);
        pthread_mutex_unlock(&pool.lock);
    }
    pthread_mutex_unlock(&pool.user);
}

// A share's part of `count` items, in multiples of `unit`: [first, last).
INLINE long part(long count, long unit, int share, int shares)
{
    return least(count, (count + unit - 1) / unit * share / shares * unit);
}

// Memory of the calling thread, reused by its next call; never freed.
static float *scratch(size_t floats)
{
    static __thread float *memory;
    static __thread size_t size;
    if (size < floats) {
        free(memory);
        size = (floats + 1023) / 1024 * 1024;
        void *new = 0; // aligned_alloc is missing before macOS 10.15
        if (posix_memalign(&new, 64, size * sizeof(float))) abort();
        memory = new;
    }
    return memory;
}

#endif

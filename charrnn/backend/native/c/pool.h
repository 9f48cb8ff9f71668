// Threads that share a piece of work: run(n, f, context) calls f(context, k, n) for k = 0 … n - 1
// concurrently.
//
// Threads are started when they are first needed and wait for work afterwards. While another caller
// uses them, the calls are made one after the other; no result depends on which thread computes it.
#ifndef CHARRNN_POOL_H
#define CHARRNN_POOL_H

#include <pthread.h>
#include <stdatomic.h>

#include "vector.h"

#define MOST_THREADS 256
#define SPINS 1000 // about 10 to 30 µs: the next piece of work often comes that soon

typedef void share_fn(void *context, int share, int shares);

static struct {
    pthread_mutex_t user; // held by the caller that uses the pool
    pthread_mutex_t lock; // guards `work` and `done`
    pthread_cond_t work, done;
    share_fn *f;
    void *context;
    int shares;
    int threads; // started so far; thread k computes share k + 1
    unsigned born[MOST_THREADS]; // the turn in which each was started
    atomic_uint turn;
    atomic_int left; // threads that have not ended this turn
} pool = {
    .user = PTHREAD_MUTEX_INITIALIZER,
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .work = PTHREAD_COND_INITIALIZER,
    .done = PTHREAD_COND_INITIALIZER,
};

INLINE void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

static void *pool_thread(void *number)
{
    int k = (int)(intptr_t)number;
    unsigned seen = pool.born[k];
    for (;;) {
        for (int spin = 0; spin < SPINS && atomic_load(&pool.turn) == seen; spin++) relax();
        if (atomic_load(&pool.turn) == seen) {
            pthread_mutex_lock(&pool.lock);
            while (atomic_load(&pool.turn) == seen) pthread_cond_wait(&pool.work, &pool.lock);
            pthread_mutex_unlock(&pool.lock);
        }
        seen++;
        if (k + 1 < pool.shares) pool.f(pool.context, k + 1, pool.shares);
        if (atomic_fetch_sub(&pool.left, 1) == 1) {
            pthread_mutex_lock(&pool.lock);
            pthread_cond_signal(&pool.done);
            pthread_mutex_unlock(&pool.lock);
        }
    }
    return 0;
}

// A forked process has only the thread that called fork.
static void pool_forked(void)
{
    pthread_mutex_init(&pool.user, 0);
    pthread_mutex_init(&pool.lock, 0);
    pthread_cond_init(&pool.work, 0);
    pthread_cond_init(&pool.done, 0);
    pool.threads = 0;
}

static int pool_grow(int threads)
{
    static int watched;
    if (!watched) {
        pthread_atfork(0, 0, pool_forked);
        watched = 1;
    }
    while (pool.threads < threads) {
        pthread_t thread;
        pool.born[pool.threads] = atomic_load(&pool.turn);
        if (pthread_create(&thread, 0, pool_thread, (void *)(intptr_t)pool.threads)) return 0;
        pthread_detach(thread);
        pool.threads++;
    }
    return 1;
}

static void run(int shares, share_fn *f, void *context)
{
    shares = shares > MOST_THREADS ? MOST_THREADS : shares;
    if (shares > 1 && pthread_mutex_trylock(&pool.user) == 0) {
        if (pool_grow(shares - 1)) {
            pool.f = f;
            pool.context = context;
            pool.shares = shares;
            atomic_store(&pool.left, pool.threads);
            pthread_mutex_lock(&pool.lock);
            atomic_fetch_add(&pool.turn, 1);
            pthread_cond_broadcast(&pool.work);
            pthread_mutex_unlock(&pool.lock);
            f(context, 0, shares);
            for (int spin = 0; spin < SPINS && atomic_load(&pool.left); spin++) relax();
            if (atomic_load(&pool.left)) {
                pthread_mutex_lock(&pool.lock);
                while (atomic_load(&pool.left)) pthread_cond_wait(&pool.done, &pool.lock);
                pthread_mutex_unlock(&pool.lock);
            }
            pthread_mutex_unlock(&pool.user);
            return;
        }
        pthread_mutex_unlock(&pool.user);
    }
    for (int k = 0; k < shares; k++) f(context, k, shares);
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
        memory = aligned_alloc(64, size * sizeof(float));
        if (!memory) abort();
    }
    return memory;
}

#endif

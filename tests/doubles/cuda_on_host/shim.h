// The environment of CUDA text on a host: the threads of a block take turns on one thread of the
// host, each with a separate stack, and switch when they wait for each other.
//
// Blocks run one after the other. The order of turns can be reversed: a result that depends on it
// is a race. A block whose threads wait at different barriers stops the process.
#pragma once
#define _XOPEN_SOURCE 700
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>  // <cmath> and <vector> would take most of the compiler's time

#define __global__
#define __device__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __restrict__
#define __shared__ static
#define __syncthreads() host::wait(host::BLOCK, __LINE__)
#define __syncwarp() host::wait(host::WARP, __LINE__)

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;
static const int warpSize = 32;

namespace host {

enum Waits { NOTHING, BLOCK, WARP, OVER };

struct Thread {
    ucontext_t context;
    dim3 index;
    unsigned warp;
    Waits waits;
    int line;
};

// A growing array that is never freed.
template <class T>
struct Array {
    T* items = nullptr;
    size_t size = 0, room = 0;
    void resize(size_t count) {
        if (count > room) {
            room = count;
            items = (T*)std::calloc(room, sizeof(T));
        }
        size = count;
    }
    T& operator[](size_t i) { return items[i]; }
    T* begin() { return items; }
    T* end() { return items + size; }
};

static Array<Thread> threads;
static Array<char> stacks;
static ucontext_t home;
static Thread* current;
static void (*body)();
static unsigned long long slots[1024];
static const size_t STACK = 1 << 16;

static void change(Thread& to) {
    current = &to;
    threadIdx = to.index;
    swapcontext(&home, &to.context);
}

static void wait(Waits what, int line) {
    if (!current) {
        std::fprintf(stderr, "a thread that was said never to wait does at line %d\n", line);
        std::abort();
    }
    current->waits = what;
    current->line = line;
    swapcontext(&current->context, &home);
}

static void begin() {
    body();
    current->waits = OVER;
}

// Release the threads whose companions all wait at the same place.
static bool release() {
    bool any = false, all = true;
    int line = -1;
    for (Thread& t : threads) {
        if (t.waits == OVER) continue;
        if (t.waits != BLOCK) all = false;
        else if (line >= 0 && line != t.line) {
            std::fprintf(stderr, "threads of a block wait at lines %d and %d\n", line, t.line);
            std::abort();
        } else line = t.line;
    }
    for (Thread& t : threads) {
        if (t.waits == BLOCK && all) t.waits = NOTHING, any = true;
        if (t.waits != WARP) continue;
        bool ready = true;
        for (Thread& u : threads)
            if (u.warp == t.warp && u.waits != WARP && u.waits != OVER) ready = false;
        if (!ready) continue;
        for (Thread& u : threads)
            if (u.warp == t.warp && u.waits == WARP) u.waits = NOTHING;
        any = true;
    }
    return any;
}

// Threads that never wait need no separate stacks.
static void run_alone(bool reversed) {
    size_t count = (size_t)blockDim.x * blockDim.y * blockDim.z;
    current = nullptr;
    for (size_t n = 0; n < count; ++n) {
        size_t i = reversed ? count - 1 - n : n;
        threadIdx.x = i % blockDim.x;
        threadIdx.y = i / blockDim.x % blockDim.y;
        threadIdx.z = i / blockDim.x / blockDim.y;
        body();
    }
}

static void run_block(bool reversed) {
    size_t count = (size_t)blockDim.x * blockDim.y * blockDim.z;
    threads.resize(count);
    stacks.resize(count * STACK);
    for (size_t i = 0; i < count; ++i) {
        Thread& t = threads[i];
        t.index.x = i % blockDim.x;
        t.index.y = i / blockDim.x % blockDim.y;
        t.index.z = i / blockDim.x / blockDim.y;
        t.warp = i / 32;
        t.waits = NOTHING;
        getcontext(&t.context);
        t.context.uc_stack.ss_sp = stacks.items + i * STACK;
        t.context.uc_stack.ss_size = STACK;
        t.context.uc_link = &home;
        makecontext(&t.context, begin, 0);
    }
    for (;;) {
        for (size_t i = 0; i < count; ++i) {
            Thread& t = threads[reversed ? count - 1 - i : i];
            if (t.waits == NOTHING) change(t);
        }
        bool over = true;
        for (Thread& t : threads) over = over && t.waits == OVER;
        if (over) return;
        if (!release()) {
            std::fprintf(stderr, "a thread waits for one that never comes\n");
            std::abort();
        }
    }
}

template <class... A, size_t... I>
static void call(void (*kernel)(A...), void** a, std::index_sequence<I...>) {
    kernel(*(A*)a[I]...);
}

static void** arguments;

// Run a kernel on a grid: {grid x, y, z, block x, y, z, reversed, whether threads never wait}.
template <auto kernel, class... A>
static void launch_with(void (*)(A...), const unsigned* shape, void** given) {
    gridDim = {shape[0], shape[1], shape[2]};
    blockDim = {shape[3], shape[4], shape[5]};
    arguments = given;
    body = [] { call(kernel, arguments, std::index_sequence_for<A...>{}); };
    size_t count = (size_t)gridDim.x * gridDim.y * gridDim.z;
    for (size_t n = 0; n < count; ++n) {
        size_t i = shape[6] ? count - 1 - n : n;
        blockIdx.x = i % gridDim.x;
        blockIdx.y = i / gridDim.x % gridDim.y;
        blockIdx.z = i / gridDim.x / gridDim.y;
        if (shape[7]) run_alone(shape[6]);
        else run_block(shape[6]);
    }
}

template <auto kernel>
static void launch(const unsigned* shape, void** given) {
    launch_with<kernel>(kernel, shape, given);
}

static unsigned rank() {
    return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
}

template <class T>
static T exchange(T value, unsigned lane) {
    unsigned mine = rank(), other = mine / 32 * 32 + lane;
    std::memcpy(&slots[mine], &value, sizeof(T));
    wait(WARP, -2);
    T found;
    std::memcpy(&found, &slots[other], sizeof(T));
    wait(WARP, -3);
    return found;
}

}  // namespace host

#define FUNCTION(name) \
    static inline float name(float x) { return __builtin_##name##f(x); } \
    static inline double name(double x) { return __builtin_##name(x); }
FUNCTION(exp)
FUNCTION(fabs)
FUNCTION(log)
FUNCTION(sqrt)
FUNCTION(tanh)
#undef FUNCTION

static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned __int128)a * b >> 64;
}
template <class T>
static T __shfl_sync(unsigned, T value, int lane) {
    return host::exchange(value, lane % 32);
}
template <class T>
static T __shfl_xor_sync(unsigned, T value, int mask) {
    return host::exchange(value, (host::rank() % 32) ^ mask);
}
template <class T>
static T __shfl_down_sync(unsigned, T value, int by) {
    unsigned lane = host::rank() % 32;
    return host::exchange(value, lane + by < 32 ? lane + by : lane);
}
template <class T>
static T atomicAdd(T* at, T value) {
    T before = *at;
    *at += value;
    return before;
}
static inline void __threadfence() {}

// The processor's matrix unit, AMX: a product of tiles of 16 rows of 64 bytes each, one instruction.
//
// A tile of the output is 16 vectors of the operand times 16 columns of a panel. The unit sums in float,
// in an order of its own, and takes subnormal numbers for 0.
#ifndef CHARRNN_AMX_H
#define CHARRNN_AMX_H

#include "errands.h"
#include "packing.h"

#ifndef AMX
#define MATRIX_UNIT(work) work
#define TILED(count) (count)
#else
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#include <cpuid.h>

#define TILED(count) padded(count, 16) // vectors of whole tiles

// A thread describes the tiles before it uses them; afterwards they are cleared, so that the system has
// less to keep for it.
#define MATRIX_UNIT(work)                                                                          \
    do {                                                                                           \
        _tile_loadconfig(&ALL_TILES);                                                              \
        work;                                                                                      \
        _tile_release();                                                                           \
    } while (0)

// The configuration that the instruction reads (Intel, Software Developer's Manual, LDTILECFG)
static const struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} ALL_TILES = {.palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

// Whether the processor has the unit, and the system lets this process use it
static int matrix_unit(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 22 & d >> 24 & 1)) return 0; // AMX-BF16, AMX-TILE
#if defined(__linux__)
    return !syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* tile data */);
#else
    return 0;
#endif
}

// Compilers may not know that tiles are read from memory: what was written before is written first.
#define MEMORY_IN_ORDER __asm__ volatile("" ::: "memory")

// One panel times 16 vectors or, if `two`, times 32; fetches the next panel meanwhile.
INLINE void tiles_product(int two, long places, const float *panel, const float *next, const float *operand, long stride, float *out, long ld, int add)
{
    long ahead = 16 * stride, below = 16 * ld;
    size_t step = (size_t)stride * sizeof(float), out_step = (size_t)ld * sizeof(float);
    MEMORY_IN_ORDER;
    if (add) {
        _tile_loadd(0, out, out_step);
        _tile_loadd(1, out + VL, out_step);
        if (two) _tile_loadd(2, out + below, out_step);
        if (two) _tile_loadd(3, out + below + VL, out_step);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        if (two) _tile_zero(2);
        if (two) _tile_zero(3);
    }
    for (long k = 0; k < places; k += VL, panel += VL * PAIR, next += VL * PAIR) {
        _tile_loadd(4, operand + k, step);
        _tile_loadd(6, panel, PAIR * sizeof(float));
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, panel + VL, PAIR * sizeof(float));
        _tile_dpbf16ps(1, 4, 7);
        if (two) _tile_loadd(5, operand + k + ahead, step);
        if (two) _tile_dpbf16ps(2, 5, 6);
        if (two) _tile_dpbf16ps(3, 5, 7);
        UNROLL for (int i = 0; i < 2 * VL; i++) __builtin_prefetch(next + i * VL, 0, 2);
    }
    _tile_stored(0, out, out_step);
    _tile_stored(1, out + VL, out_step);
    if (two) _tile_stored(2, out + below, out_step);
    if (two) _tile_stored(3, out + below + VL, out_step);
    MEMORY_IN_ORDER;
}

// One panel times `count` vectors of an operand. The operand has whole tiles; `out` need not. If no panel is
// named as the next, that is the one behind it.
static void panel_product(long places, const float *panel, const float *next, errands *e, const float *operand, long stride, long count, float *out, long ld, int add)
{
    (void)e;
    if (!next) next = panel + places * PAIR;
    for (long n = 0; n < count; n += 32) {
        long some = least(32, count - n);
        float room[32 * PAIR], *here = out + n * ld;
        float *to = some % 16 ? room : here;
        long to_ld = some % 16 ? PAIR : ld;
        if (add && some % 16)
            for (long j = 0; j < some; j++) memcpy(room + j * PAIR, here + j * ld, PAIR * sizeof(float));
        if (some > 16) tiles_product(1, places, panel, next, operand + n * stride, stride, to, to_ld, add);
        else tiles_product(0, places, panel, next, operand + n * stride, stride, to, to_ld, add);
        if (some % 16)
            for (long j = 0; j < some; j++) memcpy(here + j * ld, room + j * PAIR, PAIR * sizeof(float));
    }
}

#define narrow_product panel_product // the unit has no narrow tiles

// The same for one vector and several panels, `apart` floats from each other
INLINE void column_product(long panels, long places, const float *panel, long apart, const float *operand, long stride, float *out, long out_apart)
{
    for (long p = 0; p < panels; p++, panel += apart) panel_product(places, panel, panel + apart, 0, operand, stride, 1, out + p * out_apart, PAIR, 0);
}
#endif

#endif

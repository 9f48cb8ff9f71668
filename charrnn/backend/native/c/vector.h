// Vectors of VL floats, and the few functions on them for which compilers have no operator.
//
// Every function gives the same bits for every VL. Products are fused into sums only by fma_: the
// compiler must not contract anything itself (-ffp-contract=off).
#ifndef CHARRNN_VECTOR_H
#define CHARRNN_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define VL 16
#ifdef AMX
#define COLUMNS 32
#else
#define COLUMNS 14 // columns of an output tile, 2 vectors each: as many as the registers hold
#endif
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define VL 8
#define COLUMNS 6
#elif defined(__aarch64__)
#include <arm_neon.h>
#define VL 4
#define COLUMNS 12
#else
#error "needs a processor with fused multiply-add: x86-64-v3, x86-64-v4 or aarch64"
#endif

#define PAIR (2 * VL)
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

typedef float vf __attribute__((vector_size(VL * 4), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(VL * 4), aligned(4), may_alias));
typedef double vd __attribute__((vector_size(VL * 4), aligned(8), may_alias)); // VL / 2 of them
typedef int64_t vl __attribute__((vector_size(VL * 4), aligned(8), may_alias));

INLINE vf load(const float *p) { return *(const vf *)p; }
INLINE void store(float *p, vf v) { *(vf *)p = v; }

INLINE vf splat(float x)
{
#if VL == 16
    return (vf){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
#elif VL == 8
    return (vf){x, x, x, x, x, x, x, x};
#else
    return (vf){x, x, x, x};
#endif
}

#if VL == 8
// Element i is in use if i < count.
INLINE __m256i in_use(long count)
{
    static const int32_t window[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(window + 8 - count));
}
#endif

// The first `count` elements, at least 1; the others are 0.
INLINE vf load_some(const float *p, long count)
{
    if (count >= VL) return load(p);
#if VL == 16
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
#elif VL == 8
    return (vf)_mm256_maskload_ps(p, in_use(count));
#else
    float all[VL] = {0};
    for (long i = 0; i < count; i++) all[i] = p[i];
    return load(all);
#endif
}

INLINE void store_some(float *p, vf v, long count)
{
    if (count >= VL) {
        store(p, v);
        return;
    }
#if VL == 16
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), (__m512)v);
#elif VL == 8
    _mm256_maskstore_ps(p, in_use(count), (__m256)v);
#else
    for (long i = 0; i < count; i++) p[i] = v[i];
#endif
}

// a b + c, rounded once
INLINE vf fma_(vf a, vf b, vf c)
{
#if VL == 16
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif VL == 8
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#endif
}

// c - a b, rounded once
INLINE vf negated_fma(vf a, vf b, vf c)
{
#if VL == 16
    return (vf)_mm512_fnmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif VL == 8
    return (vf)_mm256_fnmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return (vf)vfmsq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#endif
}

// a b + c of doubles
INLINE vd fma_d(vd a, vd b, vd c)
{
#if VL == 16
    return (vd)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif VL == 8
    return (vd)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
    return (vd)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#endif
}

INLINE vf root(vf a)
{
#if VL == 16
    return (vf)_mm512_sqrt_ps((__m512)a);
#elif VL == 8
    return (vf)_mm256_sqrt_ps((__m256)a);
#else
    return (vf)vsqrtq_f32((float32x4_t)a);
#endif
}

INLINE vf choose(vi mask, vf yes, vf no) { return (vf)(((vi)yes & mask) | ((vi)no & ~mask)); }
INLINE vd choose_d(vl mask, vd yes, vd no) { return (vd)(((vl)yes & mask) | ((vl)no & ~mask)); }

// The first `count` elements of a; the others are those of `rest`.
INLINE vf keep_some(vf a, long count, vf rest)
{
    static const int32_t order[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return count >= VL ? a : choose(*(const vi *)order < (int32_t)count, a, rest);
}

// NaN passes through both.
INLINE vf at_least(vf a, float low)
{
#if VL == 16
    return (vf)_mm512_max_ps((__m512)splat(low), (__m512)a);
#elif VL == 8
    return (vf)_mm256_max_ps((__m256)splat(low), (__m256)a);
#else
    return choose(a < splat(low), splat(low), a);
#endif
}

INLINE vf at_most(vf a, float high)
{
#if VL == 16
    return (vf)_mm512_min_ps((__m512)splat(high), (__m512)a);
#elif VL == 8
    return (vf)_mm256_min_ps((__m256)splat(high), (__m256)a);
#else
    return choose(a > splat(high), splat(high), a);
#endif
}

#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vi){__VA_ARGS__})
#endif
#if VL == 16
#define LOW(a, b) SHUFFLE(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH(a, b) SHUFFLE(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define STAGES 4
#elif VL == 8
#define LOW(a, b) SHUFFLE(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH(a, b) SHUFFLE(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define STAGES 3
#else
#define LOW(a, b) SHUFFLE(a, b, 0, 4, 1, 5)
#define HIGH(a, b) SHUFFLE(a, b, 2, 6, 3, 7)
#define STAGES 2
#endif

// Transpose a square of VL vectors: each stage interleaves the upper half with the lower half.
INLINE void transpose(vf *a)
{
    vf b[VL];
    UNROLL for (int stage = 0; stage < STAGES; stage++) {
        UNROLL for (int i = 0; i < VL / 2; i++) {
            b[2 * i] = LOW(a[i], a[i + VL / 2]);
            b[2 * i + 1] = HIGH(a[i], a[i + VL / 2]);
        }
        UNROLL for (int i = 0; i < VL; i++) a[i] = b[i];
    }
}

// The maximum of each of VL vectors without NaN: each stage interleaves them as above, and halves their number.
INLINE vf maxima(vf *a)
{
    UNROLL for (int half = VL / 2; half; half /= 2)
        UNROLL for (int i = 0; i < half; i++) {
            vf b = LOW(a[i], a[i + half]), c = HIGH(a[i], a[i + half]);
            a[i] = choose(b > c, b, c);
        }
    return a[0];
}

INLINE long padded(long count, long unit) { return (count + unit - 1) / unit * unit; }
INLINE long least(long a, long b) { return a < b ? a : b; }

#endif

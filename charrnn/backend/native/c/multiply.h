// Multiply-adds of the terms of a product: of two floats, or with BF16 of two pairs of bfloat16.
#ifndef CHARRNN_MULTIPLY_H
#define CHARRNN_MULTIPLY_H

#include "amx.h"

#ifndef AMX
#ifdef BF16
INLINE vf multiply_add(vf a, vf b, vf sum)
{
#if VL == 16
    return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
    return (vf)vbfdotq_f32((float32x4_t)sum, (bfloat16x8_t)a, (bfloat16x8_t)b);
#endif
}

#ifdef __aarch64__
#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

// Whether the processor has that instruction
static int dot_products(void)
{
#if defined(__linux__)
    return getauxval(AT_HWCAP2) >> 14 & 1; // HWCAP2_BF16
#elif defined(__APPLE__)
    int has = 0;
    size_t size = sizeof(has);
    return !sysctlbyname("hw.optional.arm.FEAT_BF16", &has, &size, 0, 0) && has;
#else
    return 0;
#endif
}
#endif
#else
INLINE vf multiply_add(vf a, vf b, vf sum) { return fma_(a, b, sum); }
#endif

#ifdef BF16
#define MULTIPLY_ADD "vdpbf16ps"
#else
#define MULTIPLY_ADD "vfmadd231ps"
#endif

// sum = a b + sum. gcc would overwrite a factor instead and then move the sum, which takes registers
// that a tile does not have.
INLINE void accumulate(vf *sum, vf a, vf b)
{
#ifdef __x86_64__
    __asm__(MULTIPLY_ADD " %1, %2, %0" : "+v"(*sum) : "v"(a), "v"(b));
#else
    *sum = multiply_add(a, b, *sum);
#endif
}

// The same with b all of one value, read by the instruction itself where the processor can
INLINE void accumulate_from(vf *sum, vf a, const float *b)
{
#if VL == 16 && !defined(__SANITIZE_ADDRESS__) // which does not see what assembly reads
    __asm__(MULTIPLY_ADD " %2%{1to16%}, %1, %0" : "+v"(*sum) : "v"(a), "m"(*b));
#else
    accumulate(sum, a, splat(*b));
#endif
}

#endif

#endif

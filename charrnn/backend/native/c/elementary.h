// exp, tanh and the logistic function, within 3 ulp of the exact value for every float.
//
// x = n ln 2 + r with |r| <= ln 2 / 2; e^r - 1 = r + r² p(r), p a minimax polynomial; ln 2 in two
// parts, so that r is exact enough (Cody and Waite 1980). tanh is computed from e^(-2|x|) - 1, which
// keeps small x accurate.
#ifndef CHARRNN_ELEMENTARY_H
#define CHARRNN_ELEMENTARY_H

#include "vector.h"

// Every step is done for `count` vectors, at most TOGETHER, before the next: while a processor waits for
// one of them, it works on the others.
#define TOGETHER 4
#define EACH UNROLL for (int k = 0; k < count; k++)

// Numbers may be handled at half their size, as HALF says for the first `whole` vectors and the others: that
// changes exponents alone, not the digits of any result, if constants are scaled accordingly.
#define HALF(k, factor) splat((k) < whole ? 1.0f : (factor))

// q = n / d for d in [1, 2], within 1 ulp, several times as fast as a division: 1 / d by a quadratic
// (error 0.0102) and a step of third order (1.1e-6); then the remainder corrects the quotient. After the
// first `whole` vectors, n and d are half as large.
INLINE void quotient(int whole, int count, const vf *n, const vf *d, vf *q)
{
    vf r[TOGETHER], e[TOGETHER];
    EACH r[k] = fma_(d[k], splat(0.32323238253593445f) * HALF(k, 8.0f), splat(-1.4545457363128662f) * HALF(k, 4.0f));
    EACH r[k] = fma_(r[k], d[k], splat(2.1212122440338135f) * HALF(k, 2.0f));
    EACH e[k] = negated_fma(d[k], r[k], splat(1.0f));
    EACH e[k] = fma_(e[k], e[k], e[k]);
    EACH r[k] = fma_(r[k], e[k], r[k]);
    EACH q[k] = n[k] * r[k];
    EACH e[k] = negated_fma(d[k], q[k], n[k]);
    EACH q[k] = fma_(r[k], e[k], q[k]);
}

#define WHOLE 12582912.0f // 1.5 · 2^23: adding it rounds to an integer, which is in the low bits then
#define BIAS 127.0f       // of an exponent

// With e^x = e^r 2^n, x becomes e^r - 1; n is a whole number. After the first `whole` vectors, half of a
// power comes and half of e^r - 1 is left, and n becomes 2^n, which has to be normal.
INLINE void expm1_reduced(int whole, int count, vf *x, vf *n)
{
    vf p[TOGETHER], t[TOGETHER];
    EACH t[k] = fma_(x[k], splat(1.44269504088896341f) * HALF(k, 2.0f), splat(WHOLE + (k < whole ? 0.0f : BIAS)));
    EACH n[k] = t[k] - splat(WHOLE + (k < whole ? 0.0f : BIAS));
    EACH x[k] = fma_(n[k], splat(-0.693145751953125f) * HALF(k, 0.5f), x[k]);
    EACH x[k] = fma_(n[k], splat(-1.4286068203094173e-06f) * HALF(k, 0.5f), x[k]);
    EACH p[k] = fma_(splat(0.0013814540579915047f) * HALF(k, 32.0f), x[k], splat(0.00836874544620514f) * HALF(k, 16.0f));
    EACH p[k] = fma_(p[k], x[k], splat(0.04166838899254799f) * HALF(k, 8.0f));
    EACH p[k] = fma_(p[k], x[k], splat(0.1666652113199234f) * HALF(k, 4.0f));
    EACH p[k] = fma_(p[k], x[k], splat(0.4999999403953552f) * HALF(k, 2.0f));
    EACH x[k] = fma_(x[k] * x[k], p[k], x[k]);
    EACH if (k >= whole) n[k] = (vf)((vi)t[k] << 23);
}

// v 2^n for v near 1 and a whole n, rounded once; it may be subnormal or infinite.
INLINE vf scale(vf v, vf n)
{
#if VL == 16
    return (vf)_mm512_scalef_ps((__m512)v, (__m512)n);
#else
    vi whole = (vi)(n + splat(WHOLE)) - 0x4B400000, half = whole >> 1; // 2^n as two factors
    return v * (vf)((half + 127) << 23) * (vf)((whole - half + 127) << 23);
#endif
}

// x becomes e^x.
INLINE void exponential(int count, vf *x)
{
    vf n[TOGETHER];
    EACH x[k] = at_most(at_least(x[k], -105.0f), 89.5f);
    expm1_reduced(count, count, x, n);
    EACH x[k] = scale(splat(1.0f) + x[k], n[k]);
}

// The first `logistics` of the vectors become their logistic function, computed from e^-|x|, which does not
// overflow; the `tangents` after them become their tanh, computed at half the size.
INLINE void squash(int logistics, int tangents, vf *x)
{
    const int count = logistics + tangents;
    const vi sign = (vi)splat(-0.0f);
    vf e[TOGETHER], n[TOGETHER], numerator[TOGETHER], denominator[TOGETHER];
    EACH e[k] = at_least((vf)((vi)x[k] | sign), k < logistics ? -105.0f : -20.0f);
    expm1_reduced(logistics, count, e, n);
    EACH if (k < logistics) {
        e[k] = scale(splat(1.0f) + e[k], n[k]);
        numerator[k] = choose(x[k] < splat(0.0f), e[k], splat(1.0f));
        denominator[k] = splat(1.0f) + e[k];
    } else {
        vf rest = negated_fma(n[k], splat(0.5f), splat(0.5f));
        numerator[k] = negated_fma(e[k], n[k], rest); // (1 - e^(-2|x|)) / 2
        denominator[k] = splat(1.0f) - numerator[k];  // (1 + e^(-2|x|)) / 2
    }
    quotient(logistics, count, numerator, denominator, e);
    EACH x[k] = k < logistics ? e[k] : (vf)((vi)e[k] | ((vi)x[k] & sign));
}

// The first `count` vectors of x, which has room for VL, become their tanh.
INLINE void hyperbolic_tangents(vf *x, long count)
{
    for (long k = count; k < padded(count, TOGETHER); k++) x[k] = splat(0.0f);
    for (long k = 0; k < count; k += TOGETHER) squash(0, TOGETHER, x + k);
}

#define WHOLE_D 6755399441055744.0 // 1.5 · 2^52, as WHOLE
#define ALL(x) ((vd){0.0} + (x))

// e^x of doubles x <= 0, within 1 ulp: as above, with the first terms of the series for p.
INLINE vd exponential_d(vd x)
{
    static const double terms[] = {1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0,
        1.0 / 362880.0, 1.0 / 40320.0, 1.0 / 5040.0, 1.0 / 720.0,
        1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 1.0 / 2.0};
    x = choose_d(x < -746.0, ALL(-746.0), x);
    vd n = fma_d(x, ALL(1.4426950408889634), ALL(WHOLE_D)) - WHOLE_D;
    x = fma_d(n, ALL(-0.6931471805599453), x);
    x = fma_d(n, ALL(-2.319046813846299e-17), x);
    vd p = ALL(terms[0]);
    UNROLL for (int k = 1; k < 12; k++) p = fma_d(p, x, ALL(terms[k]));
    vl whole = (vl)(n + WHOLE_D) - 0x4338000000000000, half = whole >> 1; // 2^n as two factors
    return (1.0 + fma_d(x * x, p, x)) * (vd)((half + 1023) << 52) * (vd)((whole - half + 1023) << 52);
}

// ln of positive normal numbers, in double: 2 artanh((m - 1) / (m + 1)) + k ln 2
INLINE vd logarithm_d(vd x)
{
    vl k = ((vl)x >> 52) - 1023;
    vd m = (vd)(((vl)x & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000);
    vl large = m > 1.4142135623730951;
    m = choose_d(large, m * 0.5, m);
    k -= large; // where it is true, it is -1
    vd s = (m - 1.0) / (m + 1.0), q = s * s, sum = ALL(1.0 / 25);
    UNROLL for (int n = 23; n >= 3; n -= 2) sum = sum * q + 1.0 / n;
    return __builtin_convertvector(k, vd) * 0.6931471805599453 + 2.0 * (s + s * (sum * q));
}

#endif

// exp, tanh and the logistic function, within 3 ulp of the exact value for every float.
//
// x = n ln 2 + r with |r| <= ln 2 / 2; e^r - 1 = r + r² p(r), p a minimax polynomial; ln 2 in two
// parts, so that r is exact enough (Cody and Waite 1980). tanh is computed from e^(-2|x|) - 1, which
// keeps small x accurate.
#ifndef CHARRNN_ELEMENTARY_H
#define CHARRNN_ELEMENTARY_H

#include "vector.h"

// n / d for d in [1, 2], within 1 ulp, several times as fast as a division: 1 / d by a quadratic
// (error 0.0102) and a step of third order (1.1e-6); then the remainder corrects the quotient.
INLINE vf quotient(vf n, vf d)
{
    vf r = fma_(fma_(d, splat(0.32323238253593445f), splat(-1.4545457363128662f)), d, splat(2.1212122440338135f));
    vf e = fma_(-d, r, splat(1.0f));
    r = fma_(r, fma_(e, e, e), r);
    vf q = n * r;
    return fma_(r, fma_(-d, q, n), q);
}

// With e^x = e^r 2^n, returns e^r - 1 and sets n.
INLINE vf expm1_reduced(vf x, vi *n)
{
    const vf shift = splat(12582912.0f); // 1.5 · 2^23: adding it rounds to an integer
    vf t = fma_(x, splat(1.44269504088896341f), shift), whole = t - shift;
    vf r = fma_(whole, splat(-0.693145751953125f), x);
    r = fma_(whole, splat(-1.4286068203094173e-06f), r);
    vf p = splat(0.0013814540579915047f);
    p = fma_(p, r, splat(0.00836874544620514f));
    p = fma_(p, r, splat(0.04166838899254799f));
    p = fma_(p, r, splat(0.1666652113199234f));
    p = fma_(p, r, splat(0.4999999403953552f));
    *n = (vi)t - 0x4B400000;
    return fma_(r * r, p, r);
}

// 2^n for -127 < n < 128
INLINE vf power_of_two(vi n) { return (vf)((n + 127) << 23); }

// e^x = e^r 2^n. 2^n is applied as two factors, so that the result may be subnormal or infinite.
INLINE vf exponential(vf x)
{
    vi n;
    vf e = expm1_reduced(at_most(at_least(x, -105.0f), 89.5f), &n);
    vi half = n >> 1;
    vf power = power_of_two(half);
    return fma_(e, power, power) * power_of_two(n - half);
}

// 1 / (1 + e^-x), computed from e^-|x|, which does not overflow
INLINE vf logistic(vf x)
{
    vf e = exponential((vf)((vi)x | (int32_t)0x80000000));
    return quotient(choose(x < splat(0.0f), e, splat(1.0f)), splat(1.0f) + e);
}

INLINE vf hyperbolic_tangent(vf x)
{
    vi sign = (vi)x & (int32_t)0x80000000;
    vi n;
    vf e = expm1_reduced(at_least(splat(-2.0f) * (vf)((vi)x & 0x7fffffff), -40.0f), &n);
    vf power = power_of_two(n);
    e = fma_(e, power, power - splat(1.0f)); // e^(-2|x|) - 1
    return (vf)((vi)quotient(-e, splat(2.0f) + e) | sign);
}

// ln x of a positive normal x, in double: 2 artanh((m - 1) / (m + 1)) + k ln 2
INLINE double logarithm(double x)
{
    if (!(x > 0.0) || x > 1.7e308) return x == 0.0 ? -HUGE_VAL : x > 0.0 ? x : NAN;
    union { double value; uint64_t bits; } u = {x};
    int64_t k = (int64_t)(u.bits >> 52) - 1023;
    u.bits = (u.bits & 0x000FFFFFFFFFFFFFull) | 0x3FF0000000000000ull;
    double m = u.value;
    if (m > 1.4142135623730951) {
        m *= 0.5;
        k += 1;
    }
    double s = (m - 1.0) / (m + 1.0), q = s * s, sum = 0.0;
    for (int n = 25; n >= 3; n -= 2) sum = (sum + 1.0 / n) * q;
    return (double)k * 0.6931471805599453 + 2.0 * (s + s * sum);
}

#endif

// Each rule reads the factor on the gradient from clipping's result, if there is one.
extern "C" __global__ void adam(
    real* w, const real* g, real* m, real* v, long long size, const real* at, real scale,
    real decay, real kept, real rate, real root, real beta1, real beta2, real epsilon
) {
    if (at) scale = *at;
    for (long long i = first(); i < size; i += stride()) {
        real x = w[i], d = g[i] * scale + decay * x, a = m[i], b = v[i];
        a += (d - a) * beta1;
        b += (d * d - b) * beta2;
        m[i] = a;
        v[i] = b;
        w[i] = x * kept - rate * (a / (sqrt(b) * root + epsilon));
    }
}

// The direction of a cautious update takes the place of g.
extern "C" __global__ void direct(
    real* w, real* g, real* m, real* v, long long size, const real* at, real scale, real decay,
    real kept, real root, real beta1, real beta2, real epsilon
) {
    if (at) scale = *at;
    for (long long i = first(); i < size; i += stride()) {
        real x = w[i], d = g[i] * scale + decay * x, a = m[i], b = v[i];
        a += (d - a) * beta1;
        b += (d * d - b) * beta2;
        m[i] = a;
        v[i] = b;
        w[i] = x * kept;
        g[i] = a / (sqrt(b) * root + epsilon) * (a * d > 0 ? 1 : 0);
    }
}

extern "C" __global__ void move(real* w, const real* u, long long size, const real* at, real rate) {
    if (at) rate = *at;
    for (long long i = first(); i < size; i += stride()) w[i] -= rate * u[i];
}

extern "C" __global__ void rmsprop(
    real* w, const real* g, real* v, long long size, const real* at, real scale, real decay,
    real lr, real alpha, real rest, real epsilon
) {
    if (at) scale = *at;
    for (long long i = first(); i < size; i += stride()) {
        real x = w[i], d = g[i] * scale + decay * x, b = v[i] * alpha + d * d * rest;
        v[i] = b;
        w[i] = x - lr * (d / (sqrt(b) + epsilon));
    }
}

extern "C" __global__ void sgd(
    real* w, const real* g, real* u, long long size, const real* at, real scale, real decay,
    real lr, real momentum
) {
    if (at) scale = *at;
    for (long long i = first(); i < size; i += stride()) {
        real x = w[i], b = u[i] * momentum + (g[i] * scale + decay * x);
        u[i] = b;
        w[i] = x - lr * b;
    }
}

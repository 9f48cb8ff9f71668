// Each rule reads the factor on the gradient from clipping's result, if there is one.

// Updates both moments of weight x, makes d of its gradient, and returns the direction of the update.
__device__ inline real adam_direction(
    real x, real* d, real* m, real* v, real scale, real decay, real root, real keep1, real keep2,
    real epsilon
) {
    *d = *d * scale + decay * x;
    *m += (*d - *m) * keep1;
    *v += (*d * *d - *v) * keep2;
    return *m / (sqrt(*v) * root + epsilon);
}

extern "C" __global__ void adam(
    real* w, const real* g, real* m, real* v, long long size, const real* at, real scale, real rate,
    real decay, real kept, real root, real keep1, real keep2, real epsilon
) {
    if (at) scale = *at;
    for (long long i = first(); i < size; i += stride()) {
        real d = g[i];
        real u = adam_direction(w[i], &d, m + i, v + i, scale, decay, root, keep1, keep2, epsilon);
        w[i] = w[i] * kept - rate * u;
    }
}

// The direction of a cautious update takes the place of g.
extern "C" __global__ void direct(
    real* w, real* g, real* m, real* v, long long size, const real* at, real scale, real decay,
    real kept, real root, real keep1, real keep2, real epsilon
) {
    if (at) scale = *at;
    for (long long i = first(); i < size; i += stride()) {
        real d = g[i];
        real u = adam_direction(w[i], &d, m + i, v + i, scale, decay, root, keep1, keep2, epsilon);
        w[i] *= kept;
        g[i] = u * (m[i] * d > 0 ? 1 : 0);
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

#include "logistic.cuh"

// Each block of the arrays has `size` = H·N elements; a thread processes the same element of each.
extern "C" __global__ void gru_after_forward(
    real* work, const real* product, const real* bias, const real* h_before, real* h,
    long long size, u32 N
) {
    for (long long k = first(); k < size; k += stride()) {
        real u = product[k] + bias[(u32)k / N];
        real r = logistic(work[k + size] + product[k + size]);
        real z = logistic(work[k + 2 * size] + product[k + 2 * size]);
        real n = tanh(work[k + 3 * size] + r * u);
        work[k] = u;
        work[k + size] = r;
        work[k + 2 * size] = z;
        work[k + 3 * size] = n;
        h[k] = (h_before[k] - n) * z + n;
    }
}

extern "C" __global__ void gru_after_backward(
    real* work, const real* h_before, real* dh, real* gradient, long long size
) {
    for (long long k = first(); k < size; k += stride()) {
        real u = work[k], r = work[k + size], z = work[k + 2 * size], n = work[k + 3 * size];
        real d = dh[k] + gradient[k], dn = d * (1 - z) * (1 - n * n);
        dh[k] = d;
        gradient[k] = d * z;
        work[k] = dn * r;
        work[k + size] = dn * u * (r - r * r);
        work[k + 2 * size] = d * (h_before[k] - n) * (z - z * z);
        work[k + 3 * size] = dn;
    }
}

extern "C" __global__ void gru_before_gates(
    real* rz, const real* product, const real* h_before, real* reset, long long size
) {
    for (long long k = first(); k < size; k += stride()) {
        real r = logistic(rz[k] + product[k]);
        rz[k] = r;
        rz[k + size] = logistic(rz[k + size] + product[k + size]);
        reset[k] = r * h_before[k];
    }
}

extern "C" __global__ void gru_before_candidate(
    real* work, const real* product, const real* h_before, real* h, long long size
) {
    for (long long k = first(); k < size; k += stride()) {
        real z = work[k + size], n = tanh(work[k + 2 * size] + product[k]);
        work[k + 2 * size] = n;
        h[k] = (h_before[k] - n) * z + n;
    }
}

extern "C" __global__ void gru_before_backward(
    real* work, const real* h_before, real* dh, real* gradient, real* d_z, long long size
) {
    for (long long k = first(); k < size; k += stride()) {
        real z = work[k + size], n = work[k + 2 * size], d = dh[k] + gradient[k];
        dh[k] = d;
        gradient[k] = d * z;
        d_z[k] = d * (h_before[k] - n);
        work[k + 2 * size] = d * (1 - z) * (1 - n * n);
    }
}

extern "C" __global__ void gru_before_backward_gates(
    real* rz, const real* h_before, const real* d_reset, const real* d_z, real* gradient,
    long long size
) {
    for (long long k = first(); k < size; k += stride()) {
        real r = rz[k], z = rz[k + size], d = d_reset[k];
        gradient[k] += d * r;
        rz[k] = d * h_before[k] * (r - r * r);
        rz[k + size] = d_z[k] * (z - z * z);
    }
}

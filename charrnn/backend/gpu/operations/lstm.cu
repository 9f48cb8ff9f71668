#include "logistic.cuh"

// Each block of the gates (4H, N) has `size` = H·N elements; a thread processes the same element
// of each.
extern "C" __global__ void lstm_forward(
    real* gates, const real* product, const real* c_before, real* c, real* tanh_c, real* h,
    long long size
) {
    for (long long k = first(); k < size; k += stride()) {
        real i = logistic(gates[k] + product[k]);
        real f = logistic(gates[k + size] + product[k + size]);
        real g = tanh(gates[k + 2 * size] + product[k + 2 * size]);
        real o = logistic(gates[k + 3 * size] + product[k + 3 * size]);
        real state = f * c_before[k] + i * g, t = tanh(state);
        gates[k] = i;
        gates[k + size] = f;
        gates[k + 2 * size] = g;
        gates[k + 3 * size] = o;
        c[k] = state;
        tanh_c[k] = t;
        h[k] = o * t;
    }
}

extern "C" __global__ void lstm_backward(
    real* gates, const real* c_before, const real* tanh_c, real* dh, const real* dh_next,
    real* dc, long long size
) {
    for (long long k = first(); k < size; k += stride()) {
        real i = gates[k], f = gates[k + size], g = gates[k + 2 * size], o = gates[k + 3 * size];
        real t = tanh_c[k], d = dh[k] + dh_next[k], e = dc[k] + d * o * (1 - t * t);
        dh[k] = d;
        dc[k] = e * f;
        gates[k] = e * g * i * (1 - i);
        gates[k + size] = e * c_before[k] * f * (1 - f);
        gates[k + 2 * size] = e * i * (1 - g * g);
        gates[k + 3 * size] = d * t * o * (1 - o);
    }
}

extern "C" __global__ void lstm_output_path(
    const real* o, const real* tanh_c, const real* dh, real* dc, long long size
) {
    for (long long k = first(); k < size; k += stride())
        dc[k] += dh[k] * o[k] * (1 - tanh_c[k] * tanh_c[k]);
}

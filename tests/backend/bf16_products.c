// Products in bfloat16 beside double precision: of matrices (rows) and of gradients (outer), in many shapes.
// Prints the largest difference, in units of the sum of the terms' sizes; exits with 77 where the processor
// has no such products.
#include "core.c"

#include <stdio.h>

static uint32_t seed = 1;

static float next(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(int32_t)seed * 0x1p-31f;
}

static double rounded(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000u;
    memcpy(&x, &bits, sizeof(bits));
    return x;
}

static float *numbers(long count)
{
    float *made = malloc((size_t)count * sizeof(float));
    for (long i = 0; i < count; i++) made[i] = next();
    return made;
}

// out (I, J) beside Σ_k a(i, k) b(j, k), whose elements are `step` and `unit` apart
static double difference(long I, long J, long K, const float *a, long a_unit, long a_step, const float *b, long b_unit, long b_step, const float *out)
{
    double worst = 0.0;
    for (long i = 0; i < I; i++)
        for (long j = 0; j < J; j++) {
            double sum = 0.0, size = 1e-30;
            for (long k = 0; k < K; k++) {
                double term = rounded(a[i * a_unit + k * a_step]) * rounded(b[j * b_unit + k * b_step]);
                sum += term;
                size += fabs(term);
            }
            double off = fabs(out[i * J + j] - sum) / size;
            if (!(off <= worst)) worst = isnan(off) ? HUGE_VAL : off;
        }
    return worst;
}

int main(void)
{
    double worst = 0.0;
    if (!charrnn_usable()) return 77;
    for (long c = 0; c < 200; c++) {
        long rows = 1 + c * 7 % 70, K = 1 + c * 13 % 90, M = 1 + c * 5 % 50;
        float *x = numbers(rows * K), *matrix = numbers(M * K), *out = numbers(rows * M), *gradient = numbers(M * K);
        float *panels = numbers(padded(M, PAIR) * PLACES(K));
        forth_job pack = {.groups = 1, .rows = M, .K = K, .matrix = matrix, .panels = panels};
        rows_job product = {.rows = rows, .K = K, .M = M, .panels = panels, .x = x, .x_ld = K, .out = out, .out_ld = M};
        outer_job outer = {.rows = rows, .F = M, .d = out, .d_ld = M, .factors = {{.M = K, .x = x, .x_ld = K, .out = gradient}}};
        charrnn_forth(1, &pack);
        charrnn_rows(2, &product);
        charrnn_outer(2, &outer);
        worst = fmax(worst, difference(rows, M, K, x, K, 1, matrix, K, 1, out));
        worst = fmax(worst, difference(M, K, rows, out, 1, M, x, 1, K, gradient));
        free(x), free(matrix), free(out), free(gradient), free(panels);
    }
    printf("%g\n", worst);
    return 0;
}

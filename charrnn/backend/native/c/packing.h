// How the two factors of a product lie in memory.
//
// One factor is packed into panels of PAIR columns, [PLACES(K)][PAIR]. The other is the operand: `count`
// vectors of K terms, one per stream or row. Compiled with BF16, terms are rounded to bfloat16 and those
// of k and k + 1 share one 32-bit slot, a place. PACKED: values of k per place.
//
// An operand has the vectors side by side, [place][stride], so that one term of all vectors is read at
// a time; a single vector lies as it is. With AMX each vector lies in one piece, [vector][stride], as its
// tiles are read.
#ifndef CHARRNN_PACKING_H
#define CHARRNN_PACKING_H

#include "vector.h"

#ifdef AMX
#define DEEP 32 // K is padded with zeros to a multiple of this
#define AT(place, vector, stride) ((vector) * (stride) + (place))
#define STRIDE(places, count) (places)
#elif defined(BF16)
#define DEEP 2
#else
#define DEEP 1
#endif

#ifdef BF16
#define PACKED 2
// Elements of a and b, rounded to nearest even, in turn
INLINE vf pack(vf a, vf b)
{
#if VL == 16
    static const uint16_t turns[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                       8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    __m512i halves = (__m512i)_mm512_cvtne2ps_pbh((__m512)b, (__m512)a);
    return (vf)_mm512_permutexvar_epi16(_mm512_loadu_si512(turns), halves);
#else
    uint16x4x2_t turns = vzip_u16((uint16x4_t)vcvt_bf16_f32((float32x4_t)a), (uint16x4_t)vcvt_bf16_f32((float32x4_t)b));
    return (vf)vcombine_u16(turns.val[0], turns.val[1]);
#endif
}
#else
#define PACKED 1
#endif

#ifndef AMX
#define AT(place, vector, stride) ((place) * (stride) + (vector))
#define STRIDE(places, count) ((count) == 1 && PACKED == 1 ? 1 : padded(count, VL))
#endif

// The number of places that K terms take, and the floats of an operand
#define PLACES(K) (((K) + DEEP - 1) / DEEP * DEEP / PACKED)
#define OPERAND(places, count) ((places) * padded(count, VL))

// VL rows of VL features each (a[j] is one row) become columns: columns[k][j] for the places of
// `features`. Rows are 0 from their last feature on.
INLINE void put_columns(vf *a, float *columns, long stride, long features)
{
    transpose(a);
    for (long i = 0; i < least(features, VL); i += PACKED)
#ifdef BF16
        store(columns + i / PACKED * stride, pack(a[i], a[i + 1]));
#else
        store(columns + i * stride, a[i]);
#endif
}

// VL rows of VL features each become part of VL vectors of an operand.
INLINE void put_vectors(vf *a, float *operand, long stride, long features)
{
#ifdef AMX
    (void)features;
    for (long j = 0; j < VL; j++) _mm256_storeu_si256((__m256i *)(operand + j * stride), (__m256i)_mm512_cvtneps_pbh((__m512)a[j]));
#else
    put_columns(a, operand, stride, features);
#endif
}

// Rows (count, F) with stride ld become the vectors of an operand.
static void pack_rows(long count, long F, const float *rows, long ld, float *operand, long stride)
{
    if (stride == 1) memcpy(operand, rows, (size_t)F * sizeof(float));
    for (long f = 0; stride != 1 && f < PLACES(F) * PACKED; f += VL)
        for (long n = 0; n < count; n += VL) {
            vf a[VL];
            for (long j = 0; j < VL; j++) a[j] = n + j < count && f < F ? load_some(rows + (n + j) * ld + f, F - f) : splat(0.0f);
            put_vectors(a, operand + AT(f / PACKED, n, stride), stride, F - f);
        }
}

// One place of `count` columns, at most VL, of a matrix with K rows left.
INLINE vf place(const float *matrix, long ld, long K, long count)
{
    if (K < 1) return splat(0.0f);
    vf first = load_some(matrix, count);
#ifdef BF16
    return pack(first, K > 1 ? load_some(matrix + ld, count) : splat(0.0f));
#else
    return first;
#endif
}

// What the rows of a matrix with `count` columns are added to, in order, while they are packed: each to `sums`
// (count), and that of k to line ids[k] of `table`, `wide` floats from each other. Either may be null.
typedef struct {
    float *sums;
    const int32_t *ids;
    float *table;
    long wide;
} totals;

// Adds row k, of which these are some columns.
INLINE void add_row(const totals *to, long k, vf row, vf *sum, float *table)
{
    *sum += row;
    if (!to->ids) return;
    float *line = table + to->ids[k] * to->wide;
    store(line, load(line) + row);
}

// Columns (K, count) of a matrix become the vectors of an operand.
static void pack_columns(long K, long count, const float *matrix, long ld, float *operand, long stride, totals to)
{
    for (long n = 0; n < count; n += VL) {
        vf sum = to.sums ? load_some(to.sums + n, count - n) : splat(0.0f);
        for (long k = 0; k < K && (PACKED == 1 || to.sums || to.ids); k++) {
            vf row = load_some(matrix + k * ld + n, count - n);
            if (PACKED == 1) store(operand + k * stride + n, row);
            add_row(&to, k, row, &sum, to.table + n);
        }
        if (to.sums) store_some(to.sums + n, sum, count - n);
    }
#if PACKED > 1
#ifdef AMX
    for (long n = 0; n < count; n += VL)
        for (long k = 0; k < PLACES(K); k += VL) {
            vf a[VL];
            for (long i = 0; i < VL; i++) a[i] = place(matrix + (k + i) * PACKED * ld + n, ld, K - (k + i) * PACKED, count - n);
            transpose(a);
            for (long j = 0; j < VL; j++) store(operand + AT(k, n + j, stride), a[j]);
        }
#else
    for (long k = 0; k < K; k += PACKED)
        for (long n = 0; n < count; n += VL) store(operand + AT(k / PACKED, n, stride), place(matrix + k * ld + n, ld, K - k, count - n));
#endif
#endif
}

// The places of a panel that K terms do not reach
INLINE void blank(long K, float *panel)
{
    for (long k = (K + PACKED - 1) / PACKED; k < PLACES(K); k++) {
        store(panel + k * PAIR, splat(0.0f));
        store(panel + k * PAIR + VL, splat(0.0f));
    }
}

// Pack one panel from `count` columns of a matrix with K rows; missing columns become 0.
static void pack_panel(long K, long count, const float *matrix, long ld, float *panel)
{
    blank(K, panel);
    for (long k = 0; k < K; k += PACKED, panel += PAIR, matrix += PACKED * ld) {
        store(panel, place(matrix, ld, K - k, count));
        store(panel + VL, count > VL ? place(matrix + VL, ld, K - k, count - VL) : splat(0.0f));
    }
}

// The same from the transpose: the panel's columns are `count` rows of K elements.
static void pack_panel_of_rows(long K, long count, const float *rows, long ld, float *panel)
{
    blank(K, panel);
    for (long half = 0; half < 2; half++)
        for (long k = 0; k < K; k += VL) {
            vf a[VL];
            for (long i = 0; i < VL; i++) {
                long row = half * VL + i;
                a[i] = row < count ? load_some(rows + row * ld + k, K - k) : splat(0.0f);
            }
            put_columns(a, panel + k / PACKED * PAIR + half * VL, PAIR, K - k);
        }
}

#endif

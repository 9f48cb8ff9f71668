// The few functions of cuBLAS that are called, written plainly: column-major, one sum at a time.
#include <cstddef>

struct Handle {
    void* stream = nullptr;
    void* room = nullptr;
};

template <class T>
static void gemm(
    int ta, int tb, int m, int n, int k, T alpha, const T* a, int lda, const T* b, int ldb,
    T beta, T* c, int ldc
) {
    for (int j = 0; j < n; ++j)
        for (int i = 0; i < m; ++i) {
            T sum = 0;
            for (int l = 0; l < k; ++l) {
                T x = ta ? a[l + (size_t)i * lda] : a[i + (size_t)l * lda];
                T y = tb ? b[j + (size_t)l * ldb] : b[l + (size_t)j * ldb];
                sum += x * y;
            }
            T& out = c[i + (size_t)j * ldc];
            out = alpha * sum + (beta == 0 ? 0 : beta * out);
        }
}

// What the real one refuses: leading dimensions that are too small, types that do not go together.
static int refused(int ta, int tb, int m, int n, int k, int lda, int ldb, int ldc) {
    if (m < 0 || n < 0 || k < 0) return 1;
    return lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m || lda < 1 || ldb < 1 || ldc < 1;
}

extern "C" {

int cublasCreate_v2(void** handle) {
    *handle = new Handle;
    return 0;
}

int cublasSetStream_v2(void* handle, void* stream) {
    static_cast<Handle*>(handle)->stream = stream;
    static_cast<Handle*>(handle)->room = nullptr;  // back to the library's own, as in the real one
    return 0;
}

int cublasSetWorkspace_v2(void* handle, void* room, size_t) {
    static_cast<Handle*>(handle)->room = room;
    return 0;
}

void* stream_of(void* handle) { return static_cast<Handle*>(handle)->stream; }
void* room_of(void* handle) { return static_cast<Handle*>(handle)->room; }

int cublasGemmStridedBatchedEx(
    void* handle, int ta, int tb, int m, int n, int k, const void* alpha,
    const void* a, int a_type, int lda, long long a_step,
    const void* b, int b_type, int ldb, long long b_step,
    const void* beta, void* c, int c_type, int ldc, long long c_step,
    int count, int compute, int
) {
    if (!handle) return 1;
    if (a_type != b_type || a_type != c_type) return 15;
    if ((a_type == 1) != (compute == 70) || (compute != 68 && compute != 70 && compute != 77))
        return 15;
    if (count < 0 || refused(ta, tb, m, n, k, lda, ldb, ldc)) return 7;
    for (int s = 0; s < count; ++s) {
        if (a_type == 0)
            gemm<float>(
                ta, tb, m, n, k, *(const float*)alpha, (const float*)a + s * a_step, lda,
                (const float*)b + s * b_step, ldb, *(const float*)beta, (float*)c + s * c_step, ldc
            );
        else
            gemm<double>(
                ta, tb, m, n, k, *(const double*)alpha, (const double*)a + s * a_step, lda,
                (const double*)b + s * b_step, ldb, *(const double*)beta,
                (double*)c + s * c_step, ldc
            );
    }
    return 0;
}

int cublasGemmEx(
    void* handle, int ta, int tb, int m, int n, int k, const void* alpha,
    const void* a, int a_type, int lda, const void* b, int b_type, int ldb,
    const void* beta, void* c, int c_type, int ldc, int compute, int algorithm
) {
    return cublasGemmStridedBatchedEx(
        handle, ta, tb, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0,
        beta, c, c_type, ldc, 0, 1, compute, algorithm
    );
}

}

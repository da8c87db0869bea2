#include "nn/kernels/product.h"

// Of the MKL inside libtorch_cpu, which exports them. sgemm_ is Fortran's interface: matrices by columns. The threads
// are those of the calling thread's products; 0: as many as the process was given.
extern "C" int MKL_Set_Num_Threads_Local(int threads);
// By whose threads products in bfloat16 go all the same where they are computed in float32 (seen with AVX2).
extern "C" int omp_get_max_threads();
extern "C" void omp_set_num_threads(int threads);
extern "C" void sgemm_(const char* a_form, const char* b_form, const int* rows, const int* columns, const int* inner,
                       const float* alpha, const float* a, const int* a_stride, const float* b, const int* b_stride,
                       const float* beta, float* c, const int* c_stride);

// MKL asks this of itself before it chooses its kernels, and the program's answer stands before its own: processors of
// other makers get AVX2 at most, whatever they can do. With this answer products take 0.45 of the time on an AMD EPYC
// whose vectors are 512 bits wide (Zen 5: 107 and 250 GFLOP/s a core).
extern "C" int mkl_serv_intel_cpu_true() {
#if defined(__x86_64__)
  __builtin_cpu_init();  // LibTorch may ask before this program's own constructors have run
  return __builtin_cpu_is("intel") || (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                                       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"));
#else
  return 0;
#endif
}

namespace acm::nn {
namespace {

// to = a b + kept to
void product(int64_t rows, int64_t columns, int64_t inner, MatrixView a, MatrixView b, float kept, float* to,
             int64_t to_stride) {
  // By columns the same memory holds the transposes, and (a b)' = b' a'.
  const auto form = [](const MatrixView& matrix) { return matrix.transposed ? "T" : "N"; };
  const int m = static_cast<int>(columns), n = static_cast<int>(rows), k = static_cast<int>(inner);
  const int a_stride = static_cast<int>(a.stride), b_stride = static_cast<int>(b.stride);
  const int to_stride_int = static_cast<int>(to_stride);
  const float one = 1;
  sgemm_(form(b), form(a), &m, &n, &k, &one, b.data, &b_stride, a.data, &a_stride, &kept, to, &to_stride_int);
}

}  // namespace

void multiply(int64_t rows, int64_t columns, int64_t inner, MatrixView a, MatrixView b, float* to, int64_t to_stride) {
  product(rows, columns, inner, a, b, 0, to, to_stride);
}

void multiply_and_add(int64_t rows, int64_t columns, int64_t inner, MatrixView a, MatrixView b, float* to,
                      int64_t to_stride) {
  product(rows, columns, inner, a, b, 1, to, to_stride);
}

OneThread::OneThread() : blas_(MKL_Set_Num_Threads_Local(1)), openmp_(omp_get_max_threads()) { omp_set_num_threads(1); }

OneThread::~OneThread() {
  omp_set_num_threads(openmp_);
  MKL_Set_Num_Threads_Local(blas_);
}

}  // namespace acm::nn

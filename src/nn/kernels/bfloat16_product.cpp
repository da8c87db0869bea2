#include "nn/kernels/bfloat16_product.h"

// Of the MKL inside libtorch_cpu, which exports it.
extern "C" void cblas_gemm_bf16bf16f32(int layout, int a_form, int b_form, int rows, int columns, int inner,
                                       float alpha, const c10::BFloat16* a, int a_stride, const c10::BFloat16* b,
                                       int b_stride, float beta, float* c, int c_stride);

namespace acm::nn {

void multiply(int64_t rows, int64_t columns, int64_t inner, Bfloat16View a, Bfloat16View b, float* to,
              int64_t to_stride) {
  constexpr int kRowMajor = 101, kPlain = 111, kTransposed = 112;  // as in mkl_cblas.h
  const auto form = [](const Bfloat16View& matrix) { return matrix.transposed ? kTransposed : kPlain; };
  cblas_gemm_bf16bf16f32(kRowMajor, form(a), form(b), static_cast<int>(rows), static_cast<int>(columns),
                         static_cast<int>(inner), 1, a.data, static_cast<int>(a.stride), b.data,
                         static_cast<int>(b.stride), 0, to, static_cast<int>(to_stride));
}

bool has_bfloat16_products() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

}  // namespace acm::nn

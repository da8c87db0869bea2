#pragma once

#include <cstdint>

namespace acm::nn {

// A matrix in plain memory, row-major: its rows lie `stride` numbers apart. Transposed: what lies there is its
// transpose, as a torch Linear stores its weight.
struct MatrixView {
  const float* data;
  int64_t stride;
  bool transposed = false;
};

// to [rows, columns] = a [rows, inner] times b [inner, columns], by the BLAS inside LibTorch without the cost of tensor
// operations, which is a third of the time for 50 rows and a learner of 24 hidden units. On one thread its bits
// depend neither on the threads of the process nor on where the matrices lie in memory (seen on an Intel Xeon with
// AVX-512 for 15,292 shapes and forms at 20 alignments; float64 likewise).
void multiply(int64_t rows, int64_t columns, int64_t inner, MatrixView a, MatrixView b, float* to, int64_t to_stride);
// to += a times b.
void multiply_and_add(int64_t rows, int64_t columns, int64_t inner, MatrixView a, MatrixView b, float* to,
                      int64_t to_stride);

// While it lives, products that this thread asks for run on this thread alone.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;

 private:
  int blas_, openmp_;  // how many threads there were
};

}  // namespace acm::nn

#pragma once

#include <c10/core/ScalarType.h>

namespace acm::phases {

// While it lives, torch's operations run on one thread if `dtype` is float64. What must not depend on threads computes
// in float32 by kernels whose bits do not (nn/kernels/, acm/prefix_kernels.h); in float64 it multiplies matrices by
// tensor operations, and there MKL lets the order of a sum depend on threads.
class SingleThreadInFloat64 {
 public:
  explicit SingleThreadInFloat64(c10::ScalarType dtype);
  ~SingleThreadInFloat64();
  SingleThreadInFloat64(const SingleThreadInFloat64&) = delete;

 private:
  int threads_before_;
};

}  // namespace acm::phases

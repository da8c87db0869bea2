#include "phases/single_thread.h"

#include <ATen/Parallel.h>

namespace acm::phases {

SingleThreadInFloat64::SingleThreadInFloat64(c10::ScalarType dtype) : threads_before_(at::get_num_threads()) {
  if (dtype == c10::ScalarType::Double) at::set_num_threads(1);
}

SingleThreadInFloat64::~SingleThreadInFloat64() { at::set_num_threads(threads_before_); }

}  // namespace acm::phases

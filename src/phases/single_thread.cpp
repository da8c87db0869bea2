#include "phases/single_thread.h"

#include <ATen/Parallel.h>

namespace acm::phases {
namespace {

int64_t shortest_for_threads(c10::ScalarType dtype) { return dtype == c10::ScalarType::Double ? 33 : 16; }

}  // namespace

SingleThreadIfShort::SingleThreadIfShort(int64_t shortest_side, c10::ScalarType dtype)
    : threads_before_(at::get_num_threads()) {
  if (shortest_side < shortest_for_threads(dtype)) at::set_num_threads(1);
}

SingleThreadIfShort::~SingleThreadIfShort() { at::set_num_threads(threads_before_); }

}  // namespace acm::phases

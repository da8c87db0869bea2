#include "phases/single_thread.h"

#include <ATen/Parallel.h>

namespace acm::phases {
namespace {

constexpr int64_t kShort = 16;

}  // namespace

SingleThreadIfShort::SingleThreadIfShort(int64_t shortest_side) : threads_before_(at::get_num_threads()) {
  if (shortest_side < kShort) at::set_num_threads(1);
}

SingleThreadIfShort::~SingleThreadIfShort() { at::set_num_threads(threads_before_); }

}  // namespace acm::phases

#include "core/memory.h"

#include <malloc.h>

#include <limits>

namespace acm {

void keep_freed_memory() {
  constexpr int kNever = 0, kGrowth = 64 << 20;
  mallopt(M_MMAP_MAX, kNever);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TOP_PAD, kGrowth);
}

}  // namespace acm

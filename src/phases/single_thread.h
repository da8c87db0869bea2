#pragma once

#include <cstdint>

namespace acm::phases {

// While it lives, torch's operations run on one thread where `shortest_side`, the shortest side of any matrix product
// in sight, is short. MKL's float32 product has other bits with one thread than with two where a side of the result is
// 5, 6, 7, 9, 10 or 11 (measured with LibTorch 2.11 on AMD Zen 4), and what must not depend on threads may not either.
// Such products are too small to gain from threads.
class SingleThreadIfShort {
 public:
  explicit SingleThreadIfShort(int64_t shortest_side);
  ~SingleThreadIfShort();
  SingleThreadIfShort(const SingleThreadIfShort&) = delete;

 private:
  int threads_before_;
};

}  // namespace acm::phases

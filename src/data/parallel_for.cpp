#include "data/parallel_for.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace acm::data {

void parallel_for(int64_t count, const std::function<void(int64_t)>& body) {
  constexpr int64_t kMostThreads = 16;
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  int64_t failed = count;
  std::exception_ptr error;
  const auto work = [&] {
    // Indices are handed out in order, so all below a failed one are done or being done.
    for (int64_t i = next++; i < count; i = next++) {
      try {
        body(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (i < failed) {
          failed = i;
          error = std::current_exception();
        }
        next = count;
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int64_t i = 1; i < std::min(count, kMostThreads); ++i) threads.emplace_back(work);
    work();
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace acm::data

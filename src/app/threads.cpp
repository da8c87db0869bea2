#include "app/threads.h"

#include <ATen/Parallel.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace acm::app {

void ensure_passive_waiting(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY")) return;
  setenv("OMP_WAIT_POLICY", "passive", 1);
  execv("/proc/self/exe", argv);  // returns only where it failed; then the run goes on, only slower
}

int share_of_cores(int local_ranks) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  const int usable = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
  return std::max(1, usable / local_ranks);
}

int set_threads(int64_t wanted, int local_ranks) {
  const int threads = wanted > 0 ? static_cast<int>(wanted) : share_of_cores(local_ranks);
  at::set_num_threads(threads);
  return threads;
}

}  // namespace acm::app

#pragma once

#include <c10/core/Device.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <ctime>
#include <string>
#include <vector>

#include "core/stopwatch.h"

namespace acm::bench {

// Of the CSV that programs print: seconds are those for an image, `ratio` is that of the two.
inline constexpr const char* kColumns =
    "what,model,batch,k/N,cost share,seconds,reference,reference seconds,ratio,rounds,memory MB";

// Processor time of all threads of this process: other programs on the machine disturb it little.
inline double processor_seconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

inline double wall_seconds() {
  static const Stopwatch since_start;
  return since_start.seconds();
}

// Of two of these the difference is what the work between them took: processor time on the CPU, on a GPU the time that
// passed until it was done.
inline double seconds_on(at::Device device) {
  if (device.is_cpu()) return processor_seconds();
  c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
  return wall_seconds();
}

// "cpu", or "cuda" for the first GPU.
inline at::Device device_of(const std::string& name) {
  return name == "cpu" ? at::Device(at::kCPU) : at::Device(at::kCUDA, 0);
}

inline double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// The median over the rounds of what one took over what another took in the same.
inline double median_ratio(const std::vector<double>& seconds, const std::vector<double>& reference) {
  std::vector<double> ratios;
  for (size_t i = 0; i < seconds.size(); ++i) ratios.push_back(seconds[i] / reference[i]);
  return median(ratios);
}

}  // namespace acm::bench

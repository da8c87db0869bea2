#include "phases/machine_rates.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <fcntl.h>

#include <cmath>
#include <functional>

#include "core/file.h"
#include "core/stopwatch.h"
#include "train/gradient_reducer.h"

namespace acm::phases {
namespace {

constexpr double kSeconds = 0.3;  // that each rate is measured for
constexpr int64_t kRows = 1024;
constexpr int64_t kMemoryBytes = int64_t{64} << 20;  // beyond the caches
constexpr int64_t kBucketBytes = train::GradientReducer::kBucketBytes;

// Seconds of one call on the slowest rank, after two that count for nothing. All ranks call equally often, as they may
// meet in it.
double seconds_of(comm::Communicator& group, const std::function<void()>& call) {
  call();
  const Stopwatch once;
  call();
  const auto wanted = static_cast<int64_t>(kSeconds / std::max(once.seconds(), 1e-7)) + 1;
  const int64_t repeats = comm::all_reduce_number(group, wanted, comm::ReduceOp::kMin);
  group.barrier();
  const Stopwatch watch;
  for (int64_t i = 0; i < repeats; ++i) call();
  return comm::all_reduce_number(group, watch.seconds() / static_cast<double>(repeats), comm::ReduceOp::kMax);
}

double product_rate(comm::Communicator& group, int64_t width, int64_t hidden, at::ScalarType dtype) {
  const auto a = at::ones({kRows, width}, dtype), b = at::ones({width, hidden}, dtype);
  auto c = at::empty({kRows, hidden}, dtype);
  return 2.0 * static_cast<double>(kRows * width * hidden) / seconds_of(group, [&] { at::mm_out(c, a, b); });
}

double copy_seconds(comm::Communicator& group, int64_t bytes, int copies) {
  const auto from = at::ones({bytes}, at::kByte);
  auto to = at::ones({bytes}, at::kByte);
  return seconds_of(group, [&] {
    for (int i = 0; i < copies; ++i) i % 2 == 0 ? to.copy_(from) : from.copy_(to);
  });
}

void measure_exchange(Machine& machine, comm::Communicator& group, const std::string& origin) {
  const auto bytes = static_cast<double>(kBucketBytes);
  if (group.size() == 1) {
    machine.host_bandwidth = {bytes / copy_seconds(group, kBucketBytes, 2),
                              origin + ": a copy into a buffer and out of it"};
    return;
  }
  const auto reduce_seconds = [&](int64_t numbers) {
    const auto tensor = at::ones({numbers}, at::kFloat);
    return seconds_of(group, [&] { group.all_reduce(tensor, comm::ReduceOp::kMax)->wait(); });
  };
  const double least = reduce_seconds(1), bucket = reduce_seconds(kBucketBytes / 4);
  const double ranks = group.size();
  machine.host_latency = {least / (2 * std::log2(ranks)), origin + ": all-reduces of 4 bytes"};
  machine.host_bandwidth = {2 * (ranks - 1) / ranks * bytes / std::max(bucket - least, 1e-9),
                            origin + ": all-reduces of 4 MiB"};
}

struct DiskSeconds {
  double write = 0, read = 0;
};

// Reads what is no longer in memory, where the system lets go of it when asked.
DiskSeconds disk_seconds(const std::filesystem::path& folder) {
  const auto values = at::ones({kMemoryBytes}, at::kByte);
  const AtomicFile target(folder / "rates");  // never committed: gone at the end
  const FileHandle file(target.partial(), FileHandle::Mode::kWrite);
  DiskSeconds seconds;
  Stopwatch watch;
  file.write(values.const_data_ptr(), kMemoryBytes, 0);
  file.sync();
  seconds.write = watch.seconds();
  posix_fadvise(file.descriptor(), 0, kMemoryBytes, POSIX_FADV_DONTNEED);
  const FileHandle again(target.partial(), FileHandle::Mode::kRead);
  watch.restart();
  again.read(values.mutable_data_ptr(), kMemoryBytes, 0);
  seconds.read = watch.seconds();
  return seconds;
}

std::filesystem::path nearest_existing(std::filesystem::path folder) {
  folder = std::filesystem::absolute(folder);
  while (!std::filesystem::exists(folder)) folder = folder.parent_path();
  return folder;
}

}  // namespace

void measure(Machine& machine, comm::Communicator& group, int64_t width, int64_t hidden,
             const std::filesystem::path& folder) {
  const at::NoGradGuard no_grad;
  const std::string origin = "measured here by " + std::to_string(group.size()) + " rank(s)";
  const auto shape =
      ": products of " + std::to_string(kRows) + " x " + std::to_string(width) + " x " + std::to_string(hidden);
  machine.name += ", measured";
  machine.bfloat16_flops = {product_rate(group, width, hidden, at::kBFloat16), origin + shape};
  machine.float32_flops = {product_rate(group, width, hidden, at::kFloat), origin + shape};
  machine.tf32_flops = {machine.float32_flops.value, machine.float32_flops.origin + ", as processors have no TF32"};
  machine.float64_flops = {product_rate(group, width, hidden, at::kDouble), origin + shape};
  machine.memory_bandwidth = {2 * static_cast<double>(kMemoryBytes) / copy_seconds(group, kMemoryBytes, 1),
                              origin + ": copies of 64 MiB"};
  measure_exchange(machine, group, origin);
  DiskSeconds disk;
  comm::together(group, [&] {
    if (group.is_root()) disk = disk_seconds(nearest_existing(folder));
  });
  const auto of_disk = [&](double mine) {
    return static_cast<double>(kMemoryBytes) / comm::all_reduce_number(group, mine, comm::ReduceOp::kMax);
  };
  machine.write_bandwidth = {of_disk(disk.write), origin + ": 64 MiB and a sync"};
  machine.read_bandwidth = {of_disk(disk.read), origin + ": 64 MiB"};
}

}  // namespace acm::phases

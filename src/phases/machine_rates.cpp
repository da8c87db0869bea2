#include "phases/machine_rates.h"

#include <ATen/Context.h>
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
// Beyond the caches, and for a GPU so much that all of it has work.
constexpr int64_t kRows = 1024, kRowsOfGpu = 16384;
constexpr int64_t kMemoryBytes = int64_t{64} << 20, kMemoryBytesOfGpu = int64_t{1} << 30;
constexpr int64_t kBucketBytes = train::GradientReducer::kBucketBytes;

// Returns when the device has computed the tensor.
void await(const at::Tensor& tensor) { tensor.flatten().narrow(0, 0, 1).cpu(); }

// Seconds of one call on the slowest rank, after two that count for nothing. All ranks call equally often, as they may
// meet in it. `result`: the last that a call computes.
double seconds_of(comm::Communicator& group, const at::Tensor& result, const std::function<void()>& call) {
  call();
  await(result);
  const Stopwatch once;
  call();
  await(result);
  const auto wanted = static_cast<int64_t>(kSeconds / std::max(once.seconds(), 1e-7)) + 1;
  const int64_t repeats = comm::all_reduce_number(group, wanted, comm::ReduceOp::kMin);
  group.barrier();
  const Stopwatch watch;
  for (int64_t i = 0; i < repeats; ++i) call();
  await(result);
  return comm::all_reduce_number(group, watch.seconds() / static_cast<double>(repeats), comm::ReduceOp::kMax);
}

// Matrix products on the device, by what a run computes.
class Products {
 public:
  Products(comm::Communicator& group, at::Device device, int64_t width, int64_t hidden)
      : group_(group),
        device_(device),
        rows_(device.is_cpu() ? kRows : kRowsOfGpu),
        width_(width),
        hidden_(hidden),
        tf32_before_(at::globalContext().allowTF32CuBLAS()) {}
  ~Products() { at::globalContext().setAllowTF32CuBLAS(tf32_before_); }
  Products(const Products&) = delete;

  double rate(at::ScalarType dtype, bool tf32 = false) {
    at::globalContext().setAllowTF32CuBLAS(tf32);
    const auto as = at::TensorOptions(device_).dtype(dtype);
    const auto a = at::ones({rows_, width_}, as), b = at::ones({width_, hidden_}, as);
    auto c = at::empty({rows_, hidden_}, as);
    return 2.0 * static_cast<double>(rows_ * width_ * hidden_) / seconds_of(group_, c, [&] { at::mm_out(c, a, b); });
  }
  std::string text() const {
    return ": products of " + std::to_string(rows_) + " x " + std::to_string(width_) + " x " + std::to_string(hidden_) +
           (device_.is_cpu() ? "" : " on a GPU");
  }

 private:
  comm::Communicator& group_;
  const at::Device device_;
  const int64_t rows_, width_, hidden_;
  const bool tf32_before_;
};

double copy_seconds(comm::Communicator& group, at::Device device, int64_t bytes, int copies) {
  const auto as = at::TensorOptions(device).dtype(at::kByte);
  const auto from = at::ones({bytes}, as);
  auto to = at::ones({bytes}, as);
  return seconds_of(group, to, [&] {
    for (int i = 0; i < copies; ++i) i % 2 == 0 ? to.copy_(from) : from.copy_(to);
  });
}

void measure_exchange(Machine& machine, comm::Communicator& group, const std::string& origin) {
  const auto bytes = static_cast<double>(kBucketBytes);
  if (group.size() == 1) {
    machine.host_bandwidth = {bytes / copy_seconds(group, at::kCPU, kBucketBytes, 2),
                              origin + ": a copy into a buffer and out of it"};
    return;
  }
  const auto reduce_seconds = [&](int64_t numbers) {
    const auto tensor = at::ones({numbers}, at::kFloat);
    return seconds_of(group, tensor, [&] { group.all_reduce(tensor, comm::ReduceOp::kMax)->wait(); });
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

void measure(Machine& machine, comm::Communicator& group, at::Device device, int64_t width, int64_t hidden,
             const std::filesystem::path& folder) {
  const at::NoGradGuard no_grad;
  const std::string origin = "measured here by " + std::to_string(group.size()) + " rank(s)";
  machine.name += ", measured";
  Products products(group, device, width, hidden);
  machine.bfloat16_flops = {products.rate(at::kBFloat16), origin + products.text()};
  machine.tf32_flops = {products.rate(at::kFloat, /*tf32=*/true), origin + products.text()};
  machine.float32_flops = {products.rate(at::kFloat), origin + products.text()};
  machine.float64_flops = {products.rate(at::kDouble), origin + products.text()};
  const int64_t copied = device.is_cpu() ? kMemoryBytes : kMemoryBytesOfGpu;
  machine.memory_bandwidth = {2 * static_cast<double>(copied) / copy_seconds(group, device, copied, 1),
                              origin + ": copies of " + std::to_string(copied >> 20) + " MiB"};
  if (device.is_cpu()) measure_exchange(machine, group, origin);
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

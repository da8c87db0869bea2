// acm_bench: the parts of acm_dist by themselves, each beside a reference in the same run; options are Google
// Benchmark's
// (--benchmark_filter=REGEX, --benchmark_min_time=SECONDS). One thread, unless OMP_NUM_THREADS says more. Under mpirun
// it measures sums over its ranks, and nothing else.
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "bench/collectives.h"
#include "comm/world.h"
#include "core/memory.h"

namespace {

// Of ranks other than 0.
class Silent final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>&) override {}
};

void run_over_ranks(acm::comm::World& world) {
  const auto groups = world.connect(at::kCPU, false);
  benchmark::ClearRegisteredBenchmarks();
  acm::bench::register_mpi_collectives(groups.data);
  Silent silent;
  benchmark::RunSpecifiedBenchmarks(groups.data.is_root() ? nullptr : &silent);
}

}  // namespace

int main(int argc, char** argv) {
  acm::keep_freed_memory();
  const char* threads = std::getenv("OMP_NUM_THREADS");
  at::set_num_threads(threads ? std::max(1, std::atoi(threads)) : 1);
  acm::comm::World world(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 64;
  if (world.place().size > 1)
    run_over_ranks(world);
  else
    benchmark::RunSpecifiedBenchmarks();
}

// Sums over ranks: threads of this process, and under mpirun its ranks. 4 kB is a decision, 4 MB a bucket of gradients
// (train/gradient_reducer.h), 23 MB all of ViT-Ti's.
#include "bench/collectives.h"

#include "bench/compare.h"

namespace acm::bench {
namespace {

// In one iteration, so that the start of threads and the way to them do not count.
constexpr int kRepeats = 20;

at::Tensor buffer(int64_t kilobytes) { return at::empty({kilobytes * 1024 / 4}).fill_(1e-6); }

// Wall seconds of one sum, on every rank.
double all_reduce_seconds(comm::Communicator& group, at::Tensor& mine) {
  group.barrier();
  const Stopwatch watch;
  for (int i = 0; i < kRepeats; ++i) group.all_reduce(mine, comm::ReduceOp::kSum)->wait();
  return watch.seconds() / kRepeats;
}

void local_all_reduce(benchmark::State& state) {
  const auto ranks = static_cast<int>(state.range(0));
  for ([[maybe_unused]] auto _ : state) {
    comm::run_local_group(ranks, [&](comm::Communicator& group) {
      at::Tensor mine = buffer(state.range(1));
      const double seconds = all_reduce_seconds(group, mine);
      if (group.is_root()) state.SetIterationTime(seconds);
    });
  }
  state.SetBytesProcessed(state.iterations() * state.range(1) * 1024);
}
BENCHMARK(local_all_reduce)->UseManualTime()->ArgNames({"ranks", "kB"})->ArgsProduct({{2, 4}, {4, 4096, 23552}});

}  // namespace

void register_mpi_collectives(comm::Communicator& group) {
  for (const int64_t kilobytes : {4, 256, 4096, 23552}) {
    const std::string name =
        "mpi_all_reduce/ranks:" + std::to_string(group.size()) + "/kB:" + std::to_string(kilobytes);
    benchmark::RegisterBenchmark(name.c_str(),
                                 [&group, kilobytes](benchmark::State& state) {
                                   at::Tensor mine = buffer(kilobytes);
                                   for ([[maybe_unused]] auto _ : state)
                                     state.SetIterationTime(all_reduce_seconds(group, mine));
                                   state.SetBytesProcessed(state.iterations() * kilobytes * 1024);
                                 })
        ->UseManualTime()
        ->Iterations(5);  // the same number on every rank
  }
}

}  // namespace acm::bench

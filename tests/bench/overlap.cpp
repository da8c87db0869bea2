// How much of the time that ranks need to sum their gradients passes while backward computes.
#include <ATen/ops/mse_loss.h>

#include <chrono>
#include <thread>

#include "bench/compare.h"
#include "bench/vit_shapes.h"
#include "train/gradient_reducer.h"

namespace acm::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

// `inner` behind a link on which one all-reduce after the other takes `latency`, counted from when all ranks have come:
// it is over at a time, and only who waits for it before that time waits.
class SlowLink final : public comm::Communicator {
 public:
  SlowLink(comm::Communicator& inner, SteadyClock::duration latency) : inner_(inner), latency_(latency) {}

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  std::unique_ptr<comm::Work> all_reduce(at::Tensor tensor, comm::ReduceOp op) override {
    inner_.all_reduce(std::move(tensor), op)->wait();
    free_at_ = std::max(free_at_, SteadyClock::now()) + latency_;
    return std::make_unique<Due>(free_at_);
  }
  void broadcast(at::Tensor tensor, int root) override { inner_.broadcast(std::move(tensor), root); }
  at::Tensor all_gather(const at::Tensor& tensor) override { return inner_.all_gather(tensor); }
  void barrier() override { inner_.barrier(); }
  std::unique_ptr<comm::Communicator> split(int colour) override { return inner_.split(colour); }

 private:
  struct Due final : comm::Work {
    explicit Due(SteadyClock::time_point due) : due(due) {}
    void wait() override { std::this_thread::sleep_until(due); }
    SteadyClock::time_point due;
  };

  comm::Communicator& inner_;
  const SteadyClock::duration latency_;
  SteadyClock::time_point free_at_;  // when the link has carried all that was launched
};

// Forward, backward and the sum of the gradients of ViT-Ti/16 at 224, `images` of them, on one rank.
class Step {
 public:
  explicit Step(int64_t images) : backbone_(nn::make_vit(vit_shape("tiny"))) {
    backbone_->initialise(StreamKey(1));
    images_.inputs = noise({images, 3, 224, 224});
    wanted_ = noise({images, 1000}, 2);
  }
  // Wall seconds. Collective. Not overlapped: nothing is summed before backward is over.
  double seconds(comm::Communicator& group, bool overlapped) {
    train::GradientReducer reducer(backbone_->parameters(), group);
    buckets_ = reducer.buckets();
    group.barrier();
    const Stopwatch watch;
    reducer.zero();
    nn::TokenContext context;
    const at::Tensor loss = at::mse_loss(backbone_->forward(images_, context), wanted_);
    if (overlapped) reducer.arm();
    loss.backward();
    reducer.finish();
    return watch.seconds();
  }
  size_t buckets() const { return buckets_; }

 private:
  std::shared_ptr<nn::Backbone> backbone_;
  data::Batch images_;
  at::Tensor wanted_;
  size_t buckets_ = 0;
};

// Two ranks, as threads, whose sums take no time of the processor, and on the link together `percent` of the time of a
// step, by turns. "hidden": the share of the sums' time by which steps do not become longer, the median over the turns;
// "buckets" of a step. The last bucket's sum has no backward left to hide behind, which leaves (buckets - 1) / buckets;
// more is seen where ranks wait for one another anyway. Without overlap only the additions of one bucket pass while the
// bucket before is on the link.
void reduction_behind_backward(benchmark::State& state) {
  constexpr int kRanks = 2, kTurns = 9;
  constexpr int64_t kImages = 4;
  const double percent = static_cast<double>(state.range(0));
  const bool overlapped = state.range(1) != 0;
  double step_seconds = 0;
  for ([[maybe_unused]] auto _ : state) {
    comm::run_local_group(kRanks, [&](comm::Communicator& group) {
      Step step(kImages);
      std::vector<double> before, plain, shares, slowed;
      for (int turn = 0; turn < kTurns; ++turn) before.push_back(step.seconds(group, overlapped));
      if (group.is_root()) step_seconds = median(before);
      group.barrier();
      const double sums = percent / 100 * step_seconds;
      const std::chrono::duration<double> latency(sums / static_cast<double>(step.buckets()));
      SlowLink slow(group, std::chrono::duration_cast<SteadyClock::duration>(latency));
      for (int turn = 0; turn < kTurns; ++turn) {
        plain.push_back(step.seconds(group, overlapped));
        slowed.push_back(step.seconds(slow, overlapped));
        shares.push_back(1 - (slowed.back() - plain.back()) / sums);
      }
      if (!group.is_root()) return;
      state.SetIterationTime(median(slowed));
      state.counters["reference"] = median(plain);
      state.counters["buckets"] = static_cast<double>(step.buckets());
      state.counters["hidden"] = median(shares);
    });
  }
}
BENCHMARK(reduction_behind_backward)
    ->UseManualTime()
    ->ArgNames({"percent", "overlapped"})
    ->Args({25, 1})
    ->Args({50, 1})
    ->Args({50, 0})
    ->Iterations(1);

}  // namespace
}  // namespace acm::bench

// sample_multiset [--long]: a phase that counts which samples it was given, trained as all phases are (Trainer, Loader,
// Schedule, CheckpointStore), is cut off at random steps and resumed on random numbers of ranks with random numbers of
// micro-batches. In the end each sample was trained on exactly once an epoch. At least 60 resumptions, with --long (or
// ACM_LONG=1) at least 600; ACM_SEED repeats them.
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <numeric>

#include "core/random.h"
#include "data/stack.h"
#include "temporary_folder.h"
#include "train/trainer.h"

namespace acm {
namespace {

constexpr int64_t kSamples = 97, kEpochs = 6, kBatch = 12;              // epochs end within steps
constexpr int64_t kSteps = (kSamples * kEpochs + kBatch - 1) / kBatch;  // the last goes a little into another epoch

// Sample i has the label i.
class Numbered final : public data::DataSource {
 public:
  int64_t size() const override { return kSamples; }
  int64_t classes() const override { return kSamples; }
  data::Sample get(int64_t index, StreamKey) const override { return {.input = at::zeros({1, 1, 1}), .label = index}; }
  data::Batch collate(std::span<const data::Sample> samples) const override { return data::stack(samples); }
  std::array<int64_t, 3> input_shape() const override { return {1, 1, 1}; }
  Json identity() const override { return Json::object(); }
  Json preprocessing() const override { return Json::object(); }
};

// Thrown at a step on every rank: everything since the last checkpoint is lost.
struct CutOff {};

class CountingPhase final : public train::Phase {
 public:
  CountingPhase(comm::Communicator& group, std::vector<data::Slice> order, int64_t cut_off_at)
      : group_(group),
        cut_off_at_(cut_off_at),
        last_slice_(order.back().index),
        loader_(source_, data::Schedule(kSamples, kBatch, StreamKey(7)), data::Views(StreamKey(8)), std::move(order),
                {.threads = 2}) {}

  std::string_view name() const override { return "pretrain"; }
  int64_t steps() const override { return kSteps; }
  std::string_view unit() const override { return "samples"; }
  int64_t items_per_step() const override { return kBatch; }
  std::vector<train::ParameterGroup> parameter_groups() override { return {{.parameters = {{"weight", weight_}}}}; }

  at::Tensor loss(const data::Slice& slice, train::Metrics& metrics) override {
    if (slice.step == cut_off_at_) throw CutOff();
    const data::Batch batch = loader_.get(slice);
    const auto positions = data::Schedule(kSamples, kBatch, StreamKey(7)).positions(slice);
    TORCH_CHECK(batch.labels.numel() == static_cast<int64_t>(positions.size()), "a batch of another size");
    for (size_t i = 0; i < positions.size(); ++i)
      seen_.push_back(positions[i] / kSamples * kSamples + batch.labels[static_cast<int64_t>(i)].item<int64_t>());
    metrics.add("loss", 0.0);
    if (slice.index == last_slice_) gather();
    return weight_.sum().mul(static_cast<double>(batch.labels.numel()));
  }
  void finish() override {}
  void visit_state(train::StateVisitor& visitor) override {
    visitor.tensor("weight", weight_);
    visitor.tensor("counts", counts_);
  }
  const at::Tensor& counts() const { return counts_; }

 private:
  // What all ranks saw in this step; each holds the sum, as it holds the same weights.
  void gather() {
    at::Tensor counts = at::zeros({(kEpochs + 1) * kSamples}, at::kLong);
    for (const int64_t place : seen_) counts[place].add_(1);
    seen_.clear();
    group_.all_reduce(counts, comm::ReduceOp::kSum)->wait();
    counts_.add_(counts);
  }

  comm::Communicator& group_;
  int64_t cut_off_at_;
  int last_slice_;
  Numbered source_;
  data::Loader loader_;
  std::vector<int64_t> seen_;
  at::Tensor weight_ = at::full({2}, 0.5, at::kDouble).set_requires_grad(true);
  at::Tensor counts_ = at::zeros({(kEpochs + 1) * kSamples}, at::kLong);
};

struct Start {
  int ranks;
  int64_t micro_batches, cut_off_at;
};

// One start of the program; the counts of rank 0 where it came to the end.
std::optional<at::Tensor> train_once(const std::filesystem::path& folder, const Start& start) {
  std::optional<at::Tensor> counts;
  Log log({}, false);
  try {
    comm::run_local_group(start.ranks, [&](comm::Communicator& group) {
      const auto data_group = group.split(0);
      CountingPhase phase(group, train::slices_of_rank(group, start.micro_batches, 1), start.cut_off_at);
      SilentProgress progress;
      const train::TrainerConfig config{.micro_batches = start.micro_batches, .save_every = 3};
      train::Trainer trainer(phase, config, {.data = *data_group, .control = group}, folder,
                             {.log = log, .progress = progress});
      trainer.run({}, std::numeric_limits<int64_t>::max());
      if (group.is_root()) counts = phase.counts();
    });
  } catch (const CutOff&) {
  }
  return counts;
}

// The samples of whole epochs that were not seen once, and those of the last steps' epoch that were seen more than
// once.
int64_t wrong_counts(const at::Tensor& counts) {
  int64_t wrong = 0, in_last = 0;
  const auto* values = counts.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < counts.numel(); ++i) {
    if (i < kEpochs * kSamples) {
      wrong += values[i] != 1;
    } else {
      wrong += values[i] < 0 || values[i] > 1;
      in_last += values[i];
    }
  }
  return wrong + (in_last != kSteps * kBatch - kEpochs * kSamples);
}

bool run(int64_t wanted) {
  const char* seed = std::getenv("ACM_SEED");
  const StreamKey key(seed == nullptr ? 1 : std::strtoull(seed, nullptr, 10));
  std::printf("drawn from ACM_SEED=%s\n", seed == nullptr ? "1" : seed);
  const int ranks[] = {1, 2, 3, 4, 6};
  uint64_t draws = 0;
  int64_t resumed = 0, wrong = 0, trainings = 0;
  while (resumed < wanted) {
    const TemporaryFolder folder;
    ++trainings;
    for (int64_t starts = 0;; ++starts) {
      const Start start{.ranks = ranks[random_below(key, draws++, 5)],
                        .micro_batches = 1 + static_cast<int64_t>(random_below(key, draws++, 2)),
                        .cut_off_at = starts * 2 + static_cast<int64_t>(random_below(key, draws++, 12))};
      const auto counts = train_once(folder / "phase", start);
      resumed += starts > 0;
      if (!counts) continue;
      const int64_t samples = wrong_counts(*counts);
      if (samples > 0)
        std::printf("WRONG: training %lld, %lld starts: %lld samples were not seen once an epoch\n",
                    static_cast<long long>(trainings), static_cast<long long>(starts + 1),
                    static_cast<long long>(samples));
      wrong += samples > 0;
      break;
    }
  }
  std::printf(
      "sample_multiset: %lld of %lld trainings, with %lld resumptions, saw each of %lld samples exactly once in each "
      "of %lld epochs\n",
      static_cast<long long>(trainings - wrong), static_cast<long long>(trainings), static_cast<long long>(resumed),
      static_cast<long long>(kSamples), static_cast<long long>(kEpochs));
  return wrong == 0;
}

}  // namespace
}  // namespace acm

int main(int argc, char** argv) {
  const bool is_long = (argc > 1 && std::string(argv[1]) == "--long") || std::getenv("ACM_LONG") != nullptr;
  try {
    return acm::run(is_long ? 600 : 60) ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sample_multiset: %s\n", error.what());
    return 1;
  }
}

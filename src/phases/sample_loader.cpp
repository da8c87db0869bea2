#include "phases/sample_loader.h"

#include "core/error.h"

namespace acm::phases {

std::vector<data::Slice> slices_of_rank(const Run& run, PhaseId phase) {
  const auto& config = training_of(run.settings, phase);
  const int micro_batches = static_cast<int>(config.micro_batches), count = run.ranks() * micro_batches;
  if (count > config.batch)
    throw Error(Fault::kUsage,
                "cannot cut " + std::string(name_of(phase)) + ".batch = " + std::to_string(config.batch) + " into " +
                    std::to_string(count) + " slices (" + std::to_string(run.ranks()) + " ranks x " +
                    std::to_string(micro_batches) + " micro-batches): start fewer ranks, or raise the batch");
  std::vector<data::Slice> slices;
  for (int i = 0; i < micro_batches; ++i) slices.push_back({.index = run.rank() * micro_batches + i, .count = count});
  return slices;
}

std::unique_ptr<data::Loader> make_sample_loader(const Run& run, PhaseId phase) {
  const auto key = run.key().with(name_of(phase));
  return std::make_unique<data::Loader>(
      run.train_data,
      data::Schedule(run.train_data.size(), training_of(run.settings, phase).batch, key.with("schedule")),
      key.with("augmentation"), slices_of_rank(run, phase), static_cast<int>(run.settings.data.loader_threads));
}

}  // namespace acm::phases

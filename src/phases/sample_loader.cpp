#include "phases/sample_loader.h"

#include "core/error.h"

namespace acm::phases {

data::Views training_views(const Run& run, StreamKey key) {
  const auto& config = run.settings.data.augment;
  data::Views views(key.with("augmentation"));
  if (config.mixes() || config.label_smoothing > 0)
    views.mixing.emplace(config, run.train_data.classes(), key.with("mixing"));
  return views;
}

int cut_unit(const Settings& settings, PhaseId phase) {
  const bool trains_on_samples = phase == PhaseId::kPretrain || phase == PhaseId::kFinetune;
  return trains_on_samples && settings.data.augment.mixes() ? 2 : 1;
}

data::Slice first_slice(const Settings& settings, PhaseId phase, int ranks) {
  const auto& config = training_of(settings, phase);
  const int unit = cut_unit(settings, phase);
  const int64_t slices = ranks * config.micro_batches;
  if (slices * unit > config.batch)
    throw Error(Fault::kUsage,
                "cannot cut " + std::string(name_of(phase)) + ".batch = " + std::to_string(config.batch) + " into " +
                    std::to_string(slices) + " slices (" + std::to_string(ranks) + " ranks x " +
                    std::to_string(config.micro_batches) + " micro-batches)" +
                    (unit == 2 ? " of whole pairs, which are mixed" : "") + ": start fewer ranks, or raise the batch");
  return {.count = static_cast<int>(slices), .unit = unit};
}

std::vector<data::Slice> slices_of_rank(const Run& run, PhaseId phase) {
  const auto first = first_slice(run.settings, phase, run.ranks());
  return train::slices_of_rank(run.groups.control, training_of(run.settings, phase).micro_batches, first.unit);
}

std::unique_ptr<data::Loader> make_sample_loader(const Run& run, PhaseId phase) {
  const auto key = run.key().with(name_of(phase));
  const data::Schedule schedule(run.train_data.size(), training_of(run.settings, phase).batch, key.with("schedule"));
  return std::make_unique<data::Loader>(run.train_data, schedule, training_views(run, key), slices_of_rank(run, phase),
                                        run.fetching);
}

}  // namespace acm::phases

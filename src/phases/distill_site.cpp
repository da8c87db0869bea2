#include "phases/distill_site.h"

#include <algorithm>

#include "core/file.h"
#include "io/safetensors.h"
#include "phases/learner_start.h"
#include "phases/module_state.h"

namespace acm::phases {

DistillSite::DistillSite(const Run& run, const nn::Site& site, CacheReader& reader, comm::Communicator& team)
    : run_(run),
      site_(site),
      config_(run.settings.distill),
      reader_(reader),
      team_(team),
      objective_(objective_from(config_.objective)),
      rows_(reader, {site.name}, run.key().with("distill").with(site.name).with("rows"), team,
            {config_.batch, config_.slices / team.size(), team.size()}),
      layer_(shape_of(site, run.settings.surgery())),
      steps_(config_.steps_over(rows_.of_epoch())) {
  layer_.to(run.device, run.settings.dtype());
}

std::vector<train::ParameterGroup> DistillSite::parameter_groups() { return one_group(layer_); }

void DistillSite::visit_state(train::StateVisitor& visitor) { visit_parameters(layer_, visitor); }

// Every rank of the team by itself: it is a function of the cache.
void DistillSite::start() { start_learners(run_, reader_.capture(), site_, reader_, layer_); }

train::TrainerConfig DistillSite::trainer_config() const {
  auto config = run_.settings.trainer(config_);
  config.micro_batches = config_.slices / team_.size();
  config.order = config_.slices == 1 ? train::SumOrder::kAsTheyCome : train::SumOrder::kTree;
  return config;
}

at::Tensor DistillSite::loss(const data::Slice& slice, train::Metrics& metrics) {
  const auto rows = rows_.of(site_.name, slice, run_.device);
  const double scale = 1.0 / static_cast<double>(layer_.shape().learners * config_.batch * layer_.shape().width);
  const auto loss = distillation_loss(layer_, rows.input, rows.output, objective_, scale);
  metrics.add("loss", loss.detach());
  return loss;
}

SingleThreadInFloat64 DistillSite::threads() const { return SingleThreadInFloat64(run_.settings.dtype()); }

std::filesystem::path DistillSite::learners_file(const RunFolder& folder, const std::string& site) {
  return folder.site(site) / "learners.safetensors";
}

void DistillSite::finish() {
  comm::together(team_, [&] {
    if (!team_.is_root()) return;
    const auto path = learners_file(run_.folder, site_.name);
    make_folder(path.parent_path());
    io::write_safetensors(path, nn::named_parameters(layer_), {}, io::SelfCheck::kYes);
  });
}

}  // namespace acm::phases

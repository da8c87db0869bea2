#include "phases/distill_site.h"

#include <algorithm>

#include "core/file.h"
#include "io/safetensors.h"
#include "phases/module_state.h"

namespace acm::phases {

DistillSite::DistillSite(const Run& run, const nn::Site& site, CacheReader& reader)
    : run_(run),
      site_(site),
      config_(run.settings.distill),
      reader_(reader),
      objective_(objective_from(config_.objective)),
      order_(reader.rows_per_segment(), run.settings.cache.shuffle_segments,
             run.key().with("distill").with(site.name).with("rows")),
      layer_(shape_of(site, run.settings.surgery())),
      threads_(std::min({config_.batch, layer_.shape().width, layer_.shape().learner_width})),
      steps_(config_.steps_over(order_.rows())) {
  layer_.to(run.settings.dtype());
  layer_.initialise(run.key().with("distill").with(site.name).with("learners"));
}

std::vector<train::ParameterGroup> DistillSite::parameter_groups() { return one_group(layer_); }

void DistillSite::visit_state(train::StateVisitor& visitor) { visit_parameters(layer_, visitor); }

at::Tensor DistillSite::loss(const data::Slice& slice, train::Metrics& metrics) {
  const auto range = data::cut(config_.batch, slice.index, slice.count);
  const int64_t first = slice.step * config_.batch;
  const auto rows = reader_.rows(site_.name, order_.at(first + range.begin, first + range.end));
  const double scale = 1.0 / static_cast<double>(layer_.shape().learners * config_.batch * layer_.shape().width);
  const auto loss = distillation_loss(layer_, rows.input, rows.output, objective_, scale);
  metrics.add("loss", loss.detach());
  return loss;
}

std::filesystem::path DistillSite::learners_file(const RunFolder& folder, const std::string& site) {
  return folder.site(site) / "learners.safetensors";
}

void DistillSite::finish() {
  const auto path = learners_file(run_.folder, site_.name);
  make_folder(path.parent_path());
  io::write_safetensors(path, nn::named_parameters(layer_));
}

}  // namespace acm::phases

#include "phases/gating.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>

#include "acm/gate_labels.h"
#include "phases/cache_reader.h"
#include "phases/module_state.h"
#include "phases/sample_loader.h"

namespace acm::phases {
namespace {

class Gating final : public train::Phase {
 public:
  Gating(const Run& run, Capture& capture)
      : run_(run),
        config_(run.settings.gating),
        model_(load_model(input_model(run.settings, run.folder, PhaseId::kGating))),
        reader_(capture, run.log, run.settings.cache.shuffle_segments),
        order_(reader_.rows_per_segment(), run.settings.cache.shuffle_segments, run.key().with("gating").with("rows")),
        rule_(label_rule_from(config_.rule)) {
    slices_of_rank(run, PhaseId::kGating);  // refuses more ranks than the batch can be cut into
    for (auto& parameter : model_.backbone->parameters()) parameter.set_requires_grad(false);
    add_gates(*model_.backbone, run.settings.gate_config(), run.key().with("gating"));
    model_.backbone->to(run.settings.dtype());
    sites_ = acm_sites(*model_.backbone);
  }

  std::string_view name() const override { return name_of(PhaseId::kGating); }
  int64_t steps() const override { return config_.steps_over(order_.rows()); }
  std::string_view unit() const override { return "tokens"; }
  int64_t items_per_step() const override { return config_.batch; }
  std::vector<train::ParameterGroup> parameter_groups() override { return one_group(*model_.backbone); }

  void visit_state(train::StateVisitor& visitor) override {
    for (auto& parameter : model_.backbone->named_parameters())
      if (parameter.value().requires_grad()) visitor.tensor(parameter.key(), parameter.value());
  }

  at::Tensor loss(const data::Slice& slice, train::Metrics& metrics) override {
    const auto range = data::cut(config_.batch, slice.index, slice.count);
    const int64_t first = slice.step * config_.batch;
    const auto parts = order_.at(first + range.begin, first + range.end);
    at::Tensor loss;
    double hits = 0, wanted = 0;
    for (const auto& site : sites_) {
      const auto rows = reader_.rows(site.site->name, parts);
      const auto labels = labels_of(*site.layer, rows);
      const auto logits = site.layer->gate()->forward(rows.input);
      const auto classes = labels - site.layer->shape().min_k;
      const auto term = at::cross_entropy_loss(logits, classes, {}, at::Reduction::Sum);
      loss = loss.defined() ? loss + term : term;
      hits += best_class(logits.detach()).eq(classes).sum().item<double>();
      wanted += labels.sum().item<double>() / static_cast<double>(site.layer->shape().learners);
    }
    const double rows_and_sites = static_cast<double>(config_.batch) * static_cast<double>(sites_.size());
    loss = loss / rows_and_sites;
    metrics.add("loss", loss.detach());
    metrics.add("label_accuracy", hits / rows_and_sites);
    metrics.add("label_share", wanted / rows_and_sites);
    return loss;
  }

  void finish() override {
    comm::together(run_.groups.control, [&] {
      if (!run_.is_root()) return;
      save_model(run_.folder.model(PhaseId::kGating), *model_.backbone, "gating", model_.description.at("preprocessing"), model_.digest);
    });
  }

 private:
  at::Tensor labels_of(const AcmLayer& layer, const CacheReader::Rows& rows) const {
    at::NoGradGuard no_grad;
    return gate_labels(prefix_distances(layer.prefixes(rows.input), rows.output), rule_, layer.shape().min_k, config_.tau);
  }

  const Run& run_;
  const GatingConfig& config_;
  Model model_;
  CacheReader reader_;
  RowOrder order_;
  LabelRule rule_;
  std::vector<AcmSite> sites_;
};

}  // namespace

train::Outcome run_gating(const Run& run) {
  std::unique_ptr<Capture> capture;
  comm::together(run.groups.control, [&] { capture = std::make_unique<Capture>(run); });
  if (!capture->fill()) return train::Outcome::kStopped;
  std::optional<Gating> phase;
  comm::together(run.groups.control, [&] { phase.emplace(run, *capture); });
  return train_on_all_ranks(run, PhaseId::kGating, *phase);
}

}  // namespace acm::phases

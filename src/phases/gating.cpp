#include "phases/gating.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>

#include <algorithm>

#include "acm/gate_labels.h"
#include "core/error.h"
#include "phases/cache_reader.h"
#include "phases/module_state.h"
#include "phases/sample_loader.h"

namespace acm::phases {
namespace {

class Gating final : public train::Phase {
 public:
  Gating(const Run& run, Capture& capture, Model model)
      : run_(run),
        config_(run.settings.gating),
        model_(std::move(model)),
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
      save_model(run_.folder.model(PhaseId::kGating), *model_.backbone, "gating",
                 model_.description.at("preprocessing"), model_.digest);
    });
  }

 private:
  at::Tensor labels_of(const AcmLayer& layer, const CacheReader::Rows& rows) const {
    at::NoGradGuard no_grad;
    return gate_labels(prefix_distances(layer.prefixes(rows.input), rows.output), rule_, layer.shape().min_k,
                       config_.tau);
  }

  const Run& run_;
  const GatingConfig& config_;
  Model model_;
  CacheReader reader_;
  RowOrder order_;
  LabelRule rule_;
  std::vector<AcmSite> sites_;
};

// The model of phase 1, made from the teacher that the cache was captured from, and with sites that the cache holds.
Model load_learners(const Run& run, Capture& capture) {
  const auto file = input_model(run.settings, run.folder, PhaseId::kGating);
  auto model = load_model(file);
  const auto refuse = [&](const std::string& why) {
    throw Error(Fault::kUsage, "cannot train gates for " + file.string() + ": " + why);
  };
  const auto sites = acm_sites(*model.backbone);
  if (sites.empty()) refuse("it is a dense model; name one that phase 1 made with gating.model");
  if (sites.front().layer->gate()) refuse("it has gates already; name one that phase 1 made with gating.model");
  const auto& parent = model.description.at("parent").as_string();
  if (parent != capture.teacher_digest())
    refuse("its learners come from a model with the digest " + parent + ", but " +
           teacher_model(run.settings, run.folder).string() + " has " + capture.teacher_digest() +
           "; name the model that phase 1 started from with distill.model");
  for (const auto& site : sites)
    if (std::ranges::find(capture.cache().layout().sites, site.site->name, &io::CachedSite::name) ==
        capture.cache().layout().sites.end())
      refuse("its site " + site.site->name + " is not among those of acm.sites; name the sites of phase 1 there");
  return model;
}

}  // namespace

train::Outcome run_gating(const Run& run) {
  std::unique_ptr<Capture> capture;
  Model model;
  comm::together(run.groups.control, [&] {
    capture = std::make_unique<Capture>(run);
    model = load_learners(run, *capture);
  });
  if (!capture->fill()) return train::Outcome::kStopped;
  std::optional<Gating> phase;
  comm::together(run.groups.control, [&] { phase.emplace(run, *capture, std::move(model)); });
  return train_on_all_ranks(run, PhaseId::kGating, *phase);
}

}  // namespace acm::phases

#include "phases/gating.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "acm/cost.h"
#include "acm/gate_labels.h"
#include "acm/gate_loss.h"
#include "acm/gate_width.h"
#include "core/error.h"
#include "phases/allocation.h"
#include "phases/module_state.h"
#include "phases/sample_loader.h"
#include "phases/training_rows.h"
#include "phases/window_walk.h"

namespace acm::phases {
namespace {

class Gating final : public train::Phase {
 public:
  Gating(const Run& run, Capture& capture, Model model)
      : run_(run),
        config_(run.settings.gating),
        model_(std::move(model)),
        reader_(capture, run.log),
        rows_(reader_, names_of(acm_sites(*model_.backbone)), run.key().with("gating").with("rows"), run.groups.control,
              shares(run)) {
    for (auto& parameter : model_.backbone->parameters()) parameter.set_requires_grad(false);
    add_gates(*model_.backbone, gate_config(), run.key().with("gating"));
    model_.backbone->to(run.device, run.settings.dtype());
    sites_ = acm_sites(*model_.backbone);
    if (config_.rule == "allocation") allocation_.emplace(sites_);
  }

  std::string_view name() const override { return name_of(PhaseId::kGating); }
  int64_t steps() const override { return config_.steps_over(rows_.of_epoch()); }
  std::string_view unit() const override { return "tokens"; }
  int64_t items_per_step() const override { return config_.batch; }
  std::vector<train::ParameterGroup> parameter_groups() override { return one_group(*model_.backbone); }

  void visit_state(train::StateVisitor& visitor) override {
    for (auto& parameter : model_.backbone->named_parameters())
      if (parameter.value().requires_grad()) visitor.tensor(parameter.key(), parameter.value());
    if (allocation_) allocation_->visit_state(visitor);
  }

  std::optional<data::FetchFigures> take_fetch_figures() override { return rows_.take_fetch_figures(); }

  void start() override {
    if (!allocation_) return;
    allocation_->solve(run_, reader_);
    reader_.forget_first_samples();
  }

  void begin_step(std::span<const data::Slice> mine) override { rows_.load(mine.front().step); }

  at::Tensor loss(const data::Slice& slice, train::Metrics& metrics) override {
    at::Tensor loss;
    at::Tensor hits, wanted, chosen;  // the last two: multiply-accumulates of learners, as of `whole`
    double whole = 0;
    const auto add = [](at::Tensor& sum, const at::Tensor& term) { sum = sum.defined() ? sum + term : term; };
    for (size_t i = 0; i < sites_.size(); ++i) {
      const auto& layer = *sites_[i].layer;
      const auto rows = rows_.of(sites_[i].site->name, slice, run_.device);
      const auto labels = labels_of(i, rows);
      const auto classes = labels - layer.shape().min_k;
      const auto [term, best] = gate_loss(*layer.gate(), rows.input, classes);
      add(loss, term);
      add(hits, best.eq(classes).sum().to(at::kDouble));
      const auto cost = static_cast<double>(learner_macs_per_token(layer.shape()));
      add(wanted, labels.sum().to(at::kDouble) * cost);
      add(chosen, (best + layer.shape().min_k).sum().to(at::kDouble) * cost);
      whole += cost * static_cast<double>(layer.shape().learners * config_.batch);
    }
    const double rows_and_sites = static_cast<double>(config_.batch) * static_cast<double>(sites_.size());
    loss = loss / rows_and_sites;
    metrics.add("loss", loss.detach());
    metrics.add("label_accuracy", hits / rows_and_sites);
    metrics.add("label_share", wanted / whole);
    metrics.add("gate_share", chosen / whole);
    return loss;
  }

  // Collective. Keeps what this rank needs of step `step` from before training row `row_end`, whose window will go from
  // the disk, and lets go of the rest.
  void keep_rows(int64_t step, int64_t row_end) { rows_.load(step, row_end); }
  void read_ahead_until(int64_t row_end) { rows_.read_ahead_until(row_end); }

  void finish() override {
    if (allocation_ && config_.label_share < 1) allocation_->meet_budget(run_, reader_, *model_.backbone);
    comm::together(run_.groups.control, [&] {
      if (!run_.is_root()) return;
      save_model(run_.folder.model(PhaseId::kGating), *model_.backbone, "gating",
                 model_.description.at("preprocessing"), model_.digest);
    });
  }

 private:
  static std::vector<std::string> names_of(const std::vector<AcmSite>& sites) {
    std::vector<std::string> names;
    for (const auto& site : sites) names.push_back(site.site->name);
    return names;
  }

  static StepShares shares(const Run& run) {
    const auto& config = run.settings.gating;
    first_slice(run.settings, PhaseId::kGating, run.ranks());  // refuses more slices than a step has rows
    return {config.batch, config.micro_batches, run.ranks()};
  }

  GateConfig gate_config() const {
    std::vector<AcmShape> shapes;
    for (const auto& site : acm_sites(*model_.backbone)) shapes.push_back(site.layer->shape());
    const int64_t tokens = tokens_of_first_sample(run_, *model_.backbone);
    const auto config = gates_for(run_.settings, shapes, tokens, nn::dense_macs(*model_.backbone, tokens));
    if (run_.settings.gate.hidden == 0)
      run_.log.info("gates have a hidden width of " + std::to_string(config.hidden) + " (gate.hidden = 0: automatic)");
    return config;
  }

  at::Tensor labels_of(size_t site, const CacheReader::Rows& rows) const {
    at::NoGradGuard no_grad;
    const auto& layer = *sites_[site].layer;
    const auto distances = prefix_distances(layer, rows.input, rows.output);
    if (allocation_) return allocation_->labels(site, distances);
    return gate_labels(distances, label_rule_from(config_.rule), layer.shape().min_k, config_.tau);
  }

  const Run& run_;
  const GatingConfig& config_;
  Model model_;
  CacheReader reader_;
  TrainingRows rows_;
  std::vector<AcmSite> sites_;
  std::optional<Allocation> allocation_;  // where the rule is that
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

GateConfig gates_for(const Settings& settings, const std::vector<AcmShape>& shapes, int64_t tokens,
                     int64_t dense_macs) {
  auto config = settings.gate_config();
  if (config.hidden == 0) config.hidden = automatic_gate_width(shapes, config, tokens, dense_macs);
  return config;
}

train::Outcome run_gating(const Run& run) {
  const auto& config = run.settings.gating;
  std::unique_ptr<Capture> capture;
  std::optional<WindowPlan> windows;
  std::optional<Gating> phase;
  comm::together(run.groups.control, [&] {
    capture = std::make_unique<Capture>(run);
    windows = capture->plan(config);
    phase.emplace(run, *capture, load_learners(run, *capture));
  });
  WindowWalk walk(run, *capture, *windows);
  walk.announce();
  TrainingOnAllRanks training(run, PhaseId::kGating, *phase);
  return walk.from(training.step() * config.batch, [&](int64_t window) {
    const int64_t row_end = windows->row_end(window);
    phase->read_ahead_until(row_end);
    const auto outcome = training.run_to(row_end / config.batch);
    const bool goes_on = outcome == train::Outcome::kFinished && training.step() < phase->steps();
    if (goes_on) phase->keep_rows(training.step(), row_end);
    return outcome;
  });
}

}  // namespace acm::phases

#include "phases/finetune.h"

#include <ATen/core/grad_mode.h>

#include "acm/cost.h"
#include "core/error.h"
#include "core/quotient.h"
#include "nn/autocast.h"
#include "nn/random_tensor.h"
#include "phases/batch_statistics.h"
#include "phases/calibrated_start.h"
#include "phases/frozen_teacher.h"
#include "phases/model_fit.h"
#include "phases/module_state.h"
#include "phases/sample_loader.h"

namespace acm::phases {
namespace {

// The gates' start is calibrated on so many training samples, in whole batches.
constexpr int64_t kStartSamples = 256;

class Finetune final : public train::Phase {
 public:
  explicit Finetune(const Run& run)
      : run_(run),
        config_(run.settings.finetune),
        model_(load_model(input_model(run.settings, run.folder, PhaseId::kFinetune))),
        sites_(acm_sites(*model_.backbone)),
        statistics_(site_costs(), run.settings.acm.budget,
                    config_.entropy_bins == "all" ? EntropyBins::kAll : EntropyBins::kAllowed,
                    {config_.budget_weight, config_.entropy_weight, config_.diversity_weight}, config_.batch,
                    run.groups.data, cut_unit(run.settings, PhaseId::kFinetune)),
        loader_(make_sample_loader(run, PhaseId::kFinetune)) {
    check_fits(model_, input_model(run.settings, run.folder, PhaseId::kFinetune), run.train_data);
    model_.backbone->to(run.device, run.settings.dtype());
    if (config_.teacher_weight > 0) teacher_.emplace(run);
  }

  std::string_view name() const override { return name_of(PhaseId::kFinetune); }
  int64_t steps() const override { return config_.steps_over(run_.train_data.size()); }
  std::string_view unit() const override { return "samples"; }
  int64_t items_per_step() const override { return config_.batch; }
  std::vector<train::ParameterGroup> parameter_groups() override { return one_group(*model_.backbone); }
  void visit_state(train::StateVisitor& visitor) override { visit_parameters(*model_.backbone, visitor); }
  std::optional<data::FetchFigures> take_fetch_figures() override { return loader_->take_figures(); }

  // With one slice a rank its statistics are gathered between forward and backward. With several, all slices run
  // forward once without gradients first, because the gradient of the first needs the choices of the last.
  void begin_step(std::span<const data::Slice> mine) override {
    // A run that goes on finds the shift in the gates of its checkpoint, which is never of step 0.
    if (mine.front().step == 0 && config_.calibrated_start) shift_gates_to_budget(mine);
    batches_.clear();
    for (const auto& slice : mine) batches_.push_back(loader_->get(slice));
    first_index_ = mine.front().index;
    gather_in_loss_ = mine.size() == 1;
    if (gather_in_loss_) return;
    at::NoGradGuard no_grad;
    std::vector<SliceStatistics> statistics;
    for (const auto& slice : mine) statistics.push_back(forward(slice, batch_of(slice)).statistics);
    statistics_.gather(statistics);
  }

  at::Tensor loss(const data::Slice& slice, train::Metrics& metrics) override {
    const auto pass = forward(slice, batch_of(slice));
    if (gather_in_loss_) statistics_.gather({&pass.statistics, 1});
    const auto task = task_loss(pass.outputs, batch_of(slice), metrics);
    add_metrics(slice, task.detach(), metrics);
    return task + statistics_.surrogate(slice, pass.statistics.counts);
  }

  void finish() override {
    comm::together(run_.groups.control, [&] {
      if (!run_.is_root()) return;
      save_model(run_.folder.model(PhaseId::kFinetune), *model_.backbone, "finetune",
                 model_.description.at("preprocessing"), model_.digest);
    });
  }

 private:
  struct Pass {
    at::Tensor outputs;
    SliceStatistics statistics;
  };

  SiteCosts site_costs() const {
    SiteCosts costs;
    for (const auto& site : sites_) {
      costs.learners = site.layer->shape().learners;
      costs.min_k.push_back(site.layer->shape().min_k);
      costs.learner_costs.push_back(static_cast<double>(learner_macs_per_token(site.layer->shape())));
    }
    return costs;
  }

  const data::Batch& batch_of(const data::Slice& slice) const {
    return batches_.at(static_cast<size_t>(slice.index - first_index_));
  }

  // On the first batches, as the coming steps will see them.
  void shift_gates_to_budget(std::span<const data::Slice> mine) {
    const int64_t batches = std::min(steps(), quotient_up(kStartSamples, config_.batch));
    std::vector<std::pair<data::Slice, data::Batch>> samples;
    for (int64_t step = 0; step < batches; ++step)
      for (data::Slice slice : mine) {
        slice.step = step;
        samples.emplace_back(slice, loader_->get(slice));
      }
    const auto sample = [&] {
      std::vector<SliceStatistics> statistics;
      for (const auto& [slice, batch] : samples) statistics.push_back(forward(slice, batch).statistics);
      return statistics;
    };
    calibrate_start(*model_.backbone, run_.settings.acm.budget, sample, run_.groups.control, run_.log);
  }

  // The mean over the global batch of what this slice adds: labels, the teacher's outputs, or both.
  at::Tensor task_loss(const at::Tensor& outputs, const data::Batch& batch, train::Metrics& metrics) {
    const auto mean = [&](const at::Tensor& losses) { return losses.sum() / static_cast<double>(config_.batch); };
    const auto of_labels = mean(run_.task.losses(outputs, batch));
    if (!teacher_) return of_labels;
    const nn::Autocast autocast(run_.device, config_.autocast == "bfloat16");
    const auto of_teacher = mean(teacher_->divergence(outputs, batch));
    metrics.add("label_loss", of_labels.detach());
    metrics.add("teacher_loss", of_teacher.detach());
    return (1 - config_.teacher_weight) * of_labels + config_.teacher_weight * of_teacher;
  }

  Pass forward(const data::Slice& slice, const data::Batch& batch) {
    nn::Recorder recorder(model_.backbone->sites().size(), nn::Recorder::Keep::kChoices);
    nn::TokenContext context;
    context.positions = batch.positions;
    context.noise = run_.key().with("finetune").with("gumbel").with(static_cast<uint64_t>(slice.step));
    if (run_.device.is_cuda())
      context.noise_keys =
          nn::token_streams(context.noise, batch.positions, 0, model_.backbone->sites().size(), run_.device);
    context.training = true;
    context.gate_task_gradient = config_.gate_task_gradient;
    context.recorder = &recorder;
    const nn::Autocast autocast(run_.device, config_.autocast == "bfloat16");
    auto outputs = model_.backbone->forward(batch, context).to(run_.settings.dtype());
    return {outputs, statistics_of(recorder, sites_, context.valid, model_.backbone->token_counts(batch))};
  }

  // The terms are values of the whole batch, so one slice of all reports them.
  void add_metrics(const data::Slice& slice, const at::Tensor& task, train::Metrics& metrics) const {
    const bool reports = slice.index == 0;
    const auto& terms = statistics_.terms();
    const auto add = [&](const char* name, const at::Tensor& of_batch) {
      reports ? metrics.add(name, of_batch) : metrics.add(name, 0.0);
    };
    metrics.add("task", task);
    metrics.add("loss", task);
    if (reports) metrics.add("loss", statistics_.weighted());
    add("budget", terms.budget);
    add("entropy", terms.entropy);
    add("diversity", terms.diversity);
    add("share", terms.share);
  }

  const Run& run_;
  const FinetuneConfig& config_;
  Model model_;
  std::vector<AcmSite> sites_;
  std::optional<FrozenTeacher> teacher_;
  BatchStatistics statistics_;
  std::unique_ptr<data::Loader> loader_;
  std::vector<data::Batch> batches_;  // of the current step's slices of this rank
  int first_index_ = 0;
  bool gather_in_loss_ = true;
};

}  // namespace

train::Outcome run_finetune(const Run& run) {
  std::optional<Finetune> phase;
  comm::together(run.groups.control, [&] {
    const auto path = input_model(run.settings, run.folder, PhaseId::kFinetune);
    if (nn::read_model_file(path).description.at("gate").is_null())
      throw Error(Fault::kUsage,
                  "cannot fine-tune " + path.string() + ": its sites have no gates; run phase 2 on it first");
    phase.emplace(run);
  });
  return train_on_all_ranks(run, PhaseId::kFinetune, *phase);
}

}  // namespace acm::phases

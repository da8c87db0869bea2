#include "phases/evaluate.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>

#include "acm/cost.h"
#include "core/error.h"
#include "core/file.h"
#include "core/stopwatch.h"
#include "data/loader.h"
#include "phases/model_fit.h"

namespace acm::phases {
namespace {

// Whole numbers summed over samples: the task's counts, then cost, dense cost, tokens, then learners run by site.
struct Totals {
  at::Tensor task, macs, dense_macs, tokens, learners;
  at::Tensor packed() const {
    return at::cat({task, macs.reshape({1}), dense_macs.reshape({1}), tokens.reshape({1}), learners});
  }
  static Totals unpack(const at::Tensor& all, int64_t task_counts) {
    const int64_t rest = task_counts + 3;
    return {all.narrow(0, 0, task_counts), all[task_counts], all[task_counts + 1], all[task_counts + 2],
            all.narrow(0, rest, all.size(0) - rest)};
  }
};

Totals totals_of(nn::Backbone& backbone, const CostModel& cost, const nn::Task& task, const data::Batch& batch,
                 std::optional<int64_t> choice) {
  nn::Recorder recorder(backbone.sites().size(), nn::Recorder::Keep::kChoices);
  nn::TokenContext context;
  context.positions = batch.positions;
  context.choice = choice;
  context.recorder = &recorder;
  const auto outputs = backbone.forward(batch, context);
  const auto tokens = backbone.token_counts(batch), fixed = backbone.static_macs(tokens);
  std::vector<at::Tensor> chosen;
  for (const size_t site : cost.sites) {
    const auto& choices = recorder.at(site).choice;
    chosen.push_back((context.valid.defined() ? choices * context.valid : choices).sum(1));
  }
  const auto by_site = chosen.empty() ? at::zeros({batch.samples(), 0}, at::kLong) : at::stack(chosen, 1);
  return {task.counts(outputs, batch), sample_macs(cost, by_site, tokens, fixed).sum(),
          (fixed + tokens * nn::dense_site_macs_per_token(backbone)).sum(), tokens.sum(), by_site.sum(0)};
}

double learner_share(const CostModel& cost, const at::Tensor& learners, double tokens) {
  if (cost.sites.empty()) return 1;
  double run = 0, all = 0;
  for (size_t i = 0; i < cost.sites.size(); ++i) {
    run += static_cast<double>(cost.learner_costs[i]) * learners[static_cast<int64_t>(i)].item<double>();
    all += static_cast<double>(cost.learner_costs[i] * cost.learners) * tokens;
  }
  return run / all;
}

}  // namespace

Evaluation evaluate(Model& model, const data::DataSource& source, const nn::Task& task, int64_t micro_batch,
                    std::optional<int64_t> choice, comm::Communicator& group, Progress& progress) {
  at::NoGradGuard no_grad;
  auto& backbone = *model.backbone;
  backbone.eval();
  auto cost = cost_model(backbone);
  if (choice) std::ranges::fill(cost.gate_costs, 0);  // no gate runs
  const data::Schedule in_order(source.size(), micro_batch, StreamKey(), false);
  const int64_t batches = (source.size() + micro_batch - 1) / micro_batch;
  Stopwatch watch;
  at::Tensor sum;
  int64_t task_counts = 0;
  // A rank without a batch of its own still adds zeros of the right length: it runs the first and leaves it out.
  for (int64_t number = group.rank(); number < std::max<int64_t>(batches, group.size()); number += group.size()) {
    const int64_t begin = (number < batches ? number : 0) * micro_batch;
    std::vector<int64_t> positions(static_cast<size_t>(std::min(micro_batch, source.size() - begin)));
    std::iota(positions.begin(), positions.end(), begin);
    const auto totals =
        totals_of(backbone, cost, task, data::load_positions(source, in_order, StreamKey(), positions), choice);
    task_counts = totals.task.numel();
    if (!sum.defined()) sum = at::zeros_like(totals.packed());
    if (number < batches) sum += totals.packed();
    progress.report({.phase = "evaluate",
                     .done = std::min(number + group.size(), batches),
                     .total = batches,
                     .unit = "batches",
                     .rate = static_cast<double>(std::min((number + group.size()) * micro_batch, source.size())) /
                             watch.seconds()});
  }
  group.all_reduce(sum, comm::ReduceOp::kSum)->wait();
  progress.finish("evaluate");

  const auto totals = Totals::unpack(sum, task_counts);
  const double samples = static_cast<double>(source.size()), tokens = totals.tokens.item<double>();
  Evaluation result{.choice = choice,
                    .samples = source.size(),
                    .figures = task.figures(totals.task),
                    .mean_macs = totals.macs.item<double>() / samples,
                    .dense_macs = totals.dense_macs.item<double>() / samples,
                    .learner_share = learner_share(cost, totals.learners, tokens)};
  for (size_t i = 0; i < cost.sites.size(); ++i)
    result.mean_learners.emplace_back(backbone.sites()[cost.sites[i]].name,
                                      totals.learners[static_cast<int64_t>(i)].item<double>() / tokens);
  return result;
}

Json Evaluation::to_json() const {
  Json sites = Json::object();
  for (const auto& [site, mean] : mean_learners) sites[site] = mean;
  Json out = Json::object({{"choice", choice ? Json(*choice) : Json()},
                           {"samples", samples},
                           {"gmac", mean_macs / 1e9},
                           {"dense_gmac", dense_macs / 1e9},
                           {"share_of_dense", mean_macs / dense_macs},
                           {"learner_share", learner_share},
                           {"mean_learners", sites}});
  for (const auto& [name, value] : figures) out[name] = value;
  return out;
}

Json evaluate_phase(const Run& run, PhaseId phase) {
  const auto path = run.folder.evaluation(phase);
  Model model;
  std::string kept;  // on rank 0: the text of a file that was made from the same model
  comm::together(run.groups.control, [&] {
    const bool dense = phase == PhaseId::kPretrain;
    const auto file = dense ? teacher_model(run.settings, run.folder) : run.folder.model(phase);
    model = dense ? load_teacher(run) : load_model(file);
    check_fits(model, file, run.test_data);
    if (run.is_root() && std::filesystem::exists(path)) {
      kept = read_file(path);
      if (Json::parse(kept, path.string()).at("model") != Json(model.digest)) kept.clear();
    }
  });
  kept = comm::broadcast_string(run.groups.control, kept);
  if (!kept.empty()) return Json::parse(kept, path.string());

  std::vector<std::optional<int64_t>> choices = {std::nullopt};
  if (phase == PhaseId::kDistill) {
    choices.clear();
    for (int64_t k = 1; k <= run.settings.acm.learners; ++k) choices.emplace_back(k);
  }
  Json list = Json::Array();
  for (const auto& choice : choices)
    list.push_back(evaluate(model, run.test_data, run.task, run.settings.evaluate.micro_batch, choice,
                            run.groups.control, run.progress)
                       .to_json());
  const Json content = Json::object({{"model", model.digest}, {"evaluations", list}});
  comm::together(run.groups.control, [&] {
    if (run.is_root()) replace_file(path, content.dump(1) + "\n");
  });
  return content;
}

}  // namespace acm::phases

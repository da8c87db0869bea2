#include "phases/evaluate.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdio>

#include "acm/cost.h"
#include "core/stopwatch.h"
#include "nn/autocast.h"
#include "nn/sample_groups.h"

namespace acm::phases {
namespace {

// Whole numbers summed over samples: the task's counts, then dense cost and tokens, then learners run by site.
struct Totals {
  at::Tensor task, dense_macs, tokens, learners;
  at::Tensor packed() const { return at::cat({task, dense_macs.reshape({1}), tokens.reshape({1}), learners}); }
  static Totals unpack(const at::Tensor& all, int64_t task_counts) {
    const int64_t rest = task_counts + 2;
    return {all.narrow(0, 0, task_counts), all[task_counts], all[task_counts + 1],
            all.narrow(0, rest, all.size(0) - rest)};
  }
};

// On the host.
struct BatchResult {
  at::Tensor totals;  // packed
  int64_t task_counts;
  at::Tensor macs;  // int64 [samples]
};

BatchResult run_batch(nn::Backbone& backbone, const CostModel& cost, const nn::Task& task, const data::Batch& batch,
                      std::optional<int64_t> choice) {
  nn::Recorder recorder(backbone.sites().size(), nn::Recorder::Keep::kChoices);
  nn::TokenContext context;
  context.positions = batch.positions;
  context.choice = choice;
  context.recorder = &recorder;
  const auto outputs = nn::forward_in_groups(backbone, batch, context);
  const auto tokens = backbone.token_counts(batch), fixed = backbone.static_macs(tokens);
  std::vector<at::Tensor> chosen;
  for (const size_t site : cost.sites) {
    const auto& choices = recorder.at(site).choice;
    chosen.push_back((context.valid.defined() ? choices * context.valid : choices).sum(1));
  }
  const auto by_site = chosen.empty() ? at::zeros({batch.samples(), 0}, tokens.options()) : at::stack(chosen, 1);
  const Totals totals{task.counts(outputs, batch), (fixed + tokens * nn::dense_site_macs_per_token(backbone)).sum(),
                      tokens.sum(), by_site.sum(0)};
  return {totals.packed().cpu(), totals.task.numel(), sample_macs(cost, by_site, tokens, fixed).cpu()};
}

// The smallest of the values that at least `percent` of them do not exceed.
int64_t percentile(const at::Tensor& sorted, int percent) {
  const int64_t rank = (sorted.numel() * percent + 99) / 100;
  return sorted[std::max<int64_t>(rank, 1) - 1].item<int64_t>();
}

void set_costs(Evaluation& evaluation, const at::Tensor& macs) {
  evaluation.mean_macs = macs.sum().item<double>() / static_cast<double>(macs.numel());
  const auto sorted = std::get<0>(macs.sort());
  for (size_t i = 0; i < kPercentiles.size(); ++i) evaluation.macs_percentiles[i] = percentile(sorted, kPercentiles[i]);
}

}  // namespace

Evaluation Evaluator::operator()(Model& model, const data::DataSource& source, std::optional<int64_t> choice) const {
  at::NoGradGuard no_grad;
  auto& backbone = *model.backbone;
  backbone.eval();
  auto cost = cost_model(backbone);
  if (choice) std::ranges::fill(cost.gate_costs, 0);  // no gate runs
  auto mine = data::ranges_of(source.size(), micro_batch, group.rank(), group.size());
  // A rank without a batch of its own still adds zeros of the right length: it runs the first and leaves it out.
  const bool counts = !mine.empty();
  if (!counts) mine = {data::ranges_of(source.size(), micro_batch).front()};
  data::RangeLoader loader(source, data::Schedule(source.size(), micro_batch, StreamKey(), false), StreamKey(), mine,
                           fetching);
  const Stopwatch watch;
  at::Tensor sum;
  int64_t task_counts = 0, done = 0;
  auto macs = at::zeros({source.size()}, at::kLong);  // every rank sets those of its samples
  for (const auto& range : mine) {
    const nn::Autocast in_bfloat16(device, autocast);
    const auto result = run_batch(backbone, cost, task, loader.next(), choice);
    task_counts = result.task_counts;
    if (!sum.defined()) sum = at::zeros_like(result.totals);
    if (counts) {
      sum += result.totals;
      macs.narrow(0, range.begin, range.size()).copy_(result.macs);
    }
    progress.report({.phase = "evaluate",
                     .done = ++done,
                     .total = static_cast<int64_t>(mine.size()),
                     .unit = "batches",
                     .rate = static_cast<double>(range.end) / watch.seconds(),
                     .data_wait = loader.figures().waited_seconds / watch.seconds()});
  }
  const double seconds = watch.seconds();
  const auto fetched = loader.figures();
  group.all_reduce(sum, comm::ReduceOp::kSum)->wait();
  group.all_reduce(macs, comm::ReduceOp::kSum)->wait();
  progress.finish("evaluate");

  const auto totals = Totals::unpack(sum, task_counts);
  Evaluation result{
      .choice = choice,
      .samples = source.size(),
      .replaced = comm::all_reduce_number(group, counts ? fetched.replaced : 0, comm::ReduceOp::kSum),
      .figures = task.figures(totals.task),
      .dense_macs = totals.dense_macs.item<double>() / static_cast<double>(source.size()),
      .learner_share = learner_share(cost, totals.learners, totals.tokens.item<int64_t>()),
      .samples_per_second =
          static_cast<double>(source.size()) / comm::all_reduce_number(group, seconds, comm::ReduceOp::kMax),
      .data_wait =
          comm::all_reduce_number(group, fetched.waited_seconds / seconds, comm::ReduceOp::kSum) / group.size()};
  set_costs(result, macs);
  for (size_t i = 0; i < cost.sites.size(); ++i)
    result.mean_learners.emplace_back(
        backbone.sites()[cost.sites[i]].name,
        totals.learners[static_cast<int64_t>(i)].item<double>() / totals.tokens.item<double>());
  return result;
}

Evaluator evaluator_of(const Run& run) {
  return {run.task, run.settings.evaluate.micro_batch, run.groups.control, run.progress, run.fetching, run.device};
}

Json Evaluation::to_json() const {
  Json sites = Json::object(), percentiles = Json::object();
  for (const auto& [site, mean] : mean_learners) sites[site] = mean;
  for (size_t i = 0; i < kPercentiles.size(); ++i) {
    char name[8];
    std::snprintf(name, sizeof name, "p%02d", kPercentiles[i]);
    percentiles[name] = macs_percentiles[i];
  }
  Json out = Json::object({{"choice", choice ? Json(*choice) : Json()},
                           {"samples", samples},
                           {"replaced_samples", replaced},
                           {"gmac", mean_macs / 1e9},
                           {"dense_gmac", dense_macs / 1e9},
                           {"mac_percentiles", percentiles},
                           {"share_of_dense", mean_macs / dense_macs},
                           {"learner_share", learner_share},
                           {"mean_learners", sites}});
  for (const auto& [name, value] : figures) out[name] = value;
  return out;
}

std::string Evaluation::speed() const {
  char text[96];
  std::snprintf(text, sizeof text, "%.0f samples/s, %.1f %% of the time spent waiting for data", samples_per_second,
                100 * data_wait);
  return text;
}

}  // namespace acm::phases

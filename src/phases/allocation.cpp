#include "phases/allocation.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "acm/allocation_labels.h"
#include "acm/cost.h"
#include "acm/gate_labels.h"
#include "acm/gate_shift.h"
#include "phases/shift_search.h"
#include "phases/single_thread.h"
#include "phases/site_weights.h"

namespace acm::phases {
namespace {

constexpr int64_t kRowsAtOnce = 4096;  // bounds the memory of prefixes

double cost_of(const AcmSite& site) { return static_cast<double>(learner_macs_per_token(site.layer->shape())); }

std::string text(double value) {
  char out[32];
  std::snprintf(out, sizeof out, "%.4g", value);
  return out;
}

}  // namespace

Allocation::Allocation(const std::vector<AcmSite>& sites)
    : sites_(sites),
      weights_(at::ones({static_cast<int64_t>(sites.size())}, at::kDouble)),
      price_(at::zeros({1}, at::kDouble)) {}

void Allocation::visit_state(train::StateVisitor& visitor) {
  visitor.tensor("allocation.weights", weights_);
  visitor.tensor("allocation.price", price_);
}

void Allocation::solve(const Run& run, CacheReader& reader) {
  const at::NoGradGuard no_grad;
  const int64_t samples = std::min(run.settings.gating.label_samples, reader.samples());
  if (run.settings.gating.site_weights == "measured") weights_ = measure_site_weights(run, sites_, samples);
  find_price(run, reader, samples);
}

at::Tensor Allocation::labels(size_t site, const at::Tensor& distances) const {
  return labels_at(site, errors(site, distances), price_.item<double>());
}

at::Tensor Allocation::errors(size_t site, const at::Tensor& distances) const {
  return distances.to(at::kDouble).square() * weights_[static_cast<int64_t>(site)];
}

at::Tensor Allocation::labels_at(size_t site, const at::Tensor& errors, double price) const {
  return allocation_labels(errors, price * cost_of(sites_[site]), sites_[site].layer->shape().min_k);
}

at::Tensor Allocation::errors_of_first(const Run& run, CacheReader& reader, size_t site, int64_t samples) const {
  const auto& layer = *sites_[site].layer;
  std::vector<at::Tensor> parts;
  for (const auto& part : reader.first_samples(samples)) {
    const auto rows = reader.rows(sites_[site].site->name, {part});
    const auto inputs = rows.input.to(run.device, run.settings.dtype()).split(kRowsAtOnce),
               outputs = rows.output.to(run.device, run.settings.dtype()).split(kRowsAtOnce);
    for (size_t i = 0; i < inputs.size(); ++i) {
      const SingleThreadInFloat64 guard(inputs[i].scalar_type());
      parts.push_back(errors(site, prefix_distances(layer, inputs[i], outputs[i])));
    }
  }
  return at::cat(parts);
}

// Ranks share the sites out; they meet in the learners that each site runs, whole numbers.
bool Allocation::is_mine(const Run& run, size_t site) const {
  return static_cast<int>(site) % run.ranks() == run.rank();
}

// Collective.
double Allocation::share_of_cost(const Run& run, const std::function<Spent(size_t site)>& spent) const {
  auto sums = at::zeros({static_cast<int64_t>(sites_.size()), 2}, at::kLong);
  for (size_t i = 0; i < sites_.size(); ++i) {
    if (!is_mine(run, i)) continue;
    const auto of_site = spent(i);
    sums[static_cast<int64_t>(i)][0] = of_site.learners;
    sums[static_cast<int64_t>(i)][1] = of_site.whole;
  }
  run.groups.control.all_reduce(sums, comm::ReduceOp::kSum)->wait();
  double share = 0, whole = 0;
  for (size_t i = 0; i < sites_.size(); ++i) {
    const auto site = sums[static_cast<int64_t>(i)];
    share += cost_of(sites_[i]) * static_cast<double>(site[0].item<int64_t>());
    whole += cost_of(sites_[i]) * static_cast<double>(site[1].item<int64_t>());
  }
  return share / whole;
}

void Allocation::find_price(const Run& run, CacheReader& reader, int64_t samples) {
  std::vector<at::Tensor> errors_of_site(sites_.size());
  double highest = 0;  // no label asks for more learners than it must from this price on
  comm::together(run.groups.control, [&] {
    for (size_t i = 0; i < sites_.size(); ++i) {
      if (!is_mine(run, i)) continue;
      errors_of_site[i] = errors_of_first(run, reader, i, samples);
      const auto most = errors_of_site[i].select(1, sites_[i].layer->shape().min_k).max().item<double>();
      highest = std::max(highest, most / cost_of(sites_[i]));
    }
  });
  highest = comm::all_reduce_number(run.groups.control, highest, comm::ReduceOp::kMax);
  const auto share = [&](double price) {
    return share_of_cost(run, [&](size_t i) -> Spent {
      return {labels_at(i, errors_of_site[i], price).sum().item<int64_t>(),
              errors_of_site[i].size(0) * sites_[i].layer->shape().learners};
    });
  };
  const double price = price_of_budget(share, highest, run.settings.gating.label_share * run.settings.acm.budget);
  price_.fill_(price);
  report(run, samples, share(price));
}

at::Tensor Allocation::logits_of_first(const Run& run, CacheReader& reader, size_t site, int64_t samples) const {
  const auto& layer = *sites_[site].layer;
  std::vector<at::Tensor> parts;
  for (const auto& part : reader.first_samples(samples)) {
    const auto rows = reader.rows(sites_[site].site->name, {part});
    const SingleThreadInFloat64 guard(run.settings.dtype());
    parts.push_back(layer.gate()->forward(rows.input.to(run.device, run.settings.dtype())));
  }
  return at::cat(parts);
}

void Allocation::meet_budget(const Run& run, CacheReader& reader, nn::Backbone& model) const {
  const at::NoGradGuard no_grad;
  constexpr double kTolerance = 1e-3;  // other samples differ by more
  const int64_t samples = std::min(run.settings.gating.label_samples, reader.samples());
  std::vector<at::Tensor> logits(sites_.size());
  comm::together(run.groups.control, [&] {
    for (size_t i = 0; i < sites_.size(); ++i) {
      if (!is_mine(run, i)) continue;
      logits[i] = logits_of_first(run, reader, i, samples).to(at::kDouble);
    }
    reader.forget_first_samples();
  });
  ShiftSearch search(
      [&](double shift) {
        return share_of_cost(run, [&](size_t i) -> Spent {
          const auto& shape = sites_[i].layer->shape();
          const auto counts = at::arange(shape.min_k, shape.learners + 1, logits[i].options());
          const auto chosen = best_class(logits[i] + counts * shift) + shape.min_k;
          return {chosen.sum().item<int64_t>(), chosen.size(0) * shape.learners};
        });
      },
      kTolerance);
  const auto found = search.find(run.settings.acm.budget);
  GateShift(model).set(found.shift);
  if (run.is_root())
    run.log.info("gates shifted by " + text(found.shift) + " spend " + text(found.share) +
                 " of the learners' cost on the same samples; acm.budget is " + text(run.settings.acm.budget));
}

void Allocation::report(const Run& run, int64_t samples, double share) const {
  constexpr double kMissed = 5e-3;
  const double wanted = run.settings.gating.label_share * run.settings.acm.budget, price = price_.item<double>();
  run.log.info("labels of the first " + std::to_string(samples) + " samples spend " + text(share) +
               " of the learners' cost at a price of " + text(price) + "; gating.label_share of acm.budget is " +
               text(wanted));
  if (std::abs(share - wanted) > kMissed)
    run.log.warn("no price makes the labels spend gating.label_share of acm.budget = " + text(wanted) +
                 ": they spend " + text(share) + (price > 0 ? "" : ", and more learners would not lessen any error"));
}

}  // namespace acm::phases

#include "phases/allocation.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "acm/allocation_labels.h"
#include "acm/cost.h"
#include "acm/gate_labels.h"
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
    const auto inputs = rows.input.to(run.settings.dtype()).split(kRowsAtOnce),
               outputs = rows.output.to(run.settings.dtype()).split(kRowsAtOnce);
    for (size_t i = 0; i < inputs.size(); ++i) {
      const SingleThreadIfShort guard(std::min({inputs[i].size(0), layer.shape().width, layer.shape().learner_width}),
                                      inputs[i].scalar_type());
      parts.push_back(errors(site, prefix_distances(layer.prefixes(inputs[i]), outputs[i])));
    }
  }
  return at::cat(parts);
}

// Ranks share the sites out; they meet in the learners that the labels of each site run, whole numbers.
void Allocation::find_price(const Run& run, CacheReader& reader, int64_t samples) {
  auto& group = run.groups.control;
  const auto mine = [&](size_t site) { return static_cast<int>(site) % run.ranks() == run.rank(); };
  std::vector<at::Tensor> errors_of_site(sites_.size());
  double highest = 0;  // no label asks for more learners than it must from this price on
  comm::together(group, [&] {
    for (size_t i = 0; i < sites_.size(); ++i) {
      if (!mine(i)) continue;
      errors_of_site[i] = errors_of_first(run, reader, i, samples);
      const auto most = errors_of_site[i].select(1, sites_[i].layer->shape().min_k).max().item<double>();
      highest = std::max(highest, most / cost_of(sites_[i]));
      reader.clear();
    }
  });
  highest = comm::all_reduce_number(group, highest, comm::ReduceOp::kMax);

  const auto spent = [&](double price) {
    auto sums = at::zeros({static_cast<int64_t>(sites_.size()), 2}, at::kLong);  // learners run, and all there are
    for (size_t i = 0; i < sites_.size(); ++i) {
      if (!mine(i)) continue;
      sums[static_cast<int64_t>(i)][0] = labels_at(i, errors_of_site[i], price).sum();
      sums[static_cast<int64_t>(i)][1] = errors_of_site[i].size(0) * sites_[i].layer->shape().learners;
    }
    group.all_reduce(sums, comm::ReduceOp::kSum)->wait();
    return share_of_cost(sums);
  };
  const double price = price_of_budget(spent, highest, run.settings.acm.budget);
  price_.fill_(price);
  report(run, samples, spent(price));
}

// sums int64 [sites, 2]: learners run, learners there are.
double Allocation::share_of_cost(const at::Tensor& sums) const {
  double spent = 0, whole = 0;
  for (size_t i = 0; i < sites_.size(); ++i) {
    const auto site = sums[static_cast<int64_t>(i)];
    spent += cost_of(sites_[i]) * static_cast<double>(site[0].item<int64_t>());
    whole += cost_of(sites_[i]) * static_cast<double>(site[1].item<int64_t>());
  }
  return spent / whole;
}

void Allocation::report(const Run& run, int64_t samples, double share) const {
  constexpr double kMissed = 5e-3;
  const double budget = run.settings.acm.budget, price = price_.item<double>();
  run.log.info("labels of the first " + std::to_string(samples) + " samples spend " + text(share) +
               " of the learners' cost at a price of " + text(price) + "; acm.budget is " + text(budget));
  if (std::abs(share - budget) > kMissed)
    run.log.warn("no price makes the labels spend acm.budget = " + text(budget) + ": they spend " + text(share) +
                 (price > 0 ? "" : ", and more learners would not lessen any error"));
}

}  // namespace acm::phases

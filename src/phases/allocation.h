#pragma once

#include <functional>
#include <vector>

#include "acm/model.h"
#include "phases/cache_reader.h"

namespace acm::phases {

// Labels for gates that spend acm.budget best (method.md 10.8): what an error costs at each site, and the price of a
// learner at which the labels of the first gating.label_samples captured samples (not of all tokens, so that windows
// and tokens captured later change nothing) spend gating.label_share of the budget. Solved once, before the first step
// of phase 2, and part of its state. The gates that have learned them are then shifted to the budget: where most labels
// ask for everything, a gate learns to tell no token from another.
class Allocation {
 public:
  explicit Allocation(const std::vector<AcmSite>& sites);

  // Collective over all ranks.
  void solve(const Run& run, CacheReader& reader);
  // int64 [rows] for rows of site number `site` of those given. distances [rows, N + 1].
  at::Tensor labels(size_t site, const at::Tensor& distances) const;
  void visit_state(train::StateVisitor& visitor);
  // Collective over all ranks. Shifts the trained gates of `model` (acm/gate_shift.h) so that they spend acm.budget on
  // the same samples.
  void meet_budget(const Run& run, CacheReader& reader, nn::Backbone& model) const;

 private:
  // What a site runs on all rows: learners, and learners there are.
  struct Spent {
    int64_t learners = 0, whole = 0;
  };
  at::Tensor errors(size_t site, const at::Tensor& distances) const;  // [rows, N + 1]: weight times d(k)^2
  at::Tensor errors_of_first(const Run& run, CacheReader& reader, size_t site, int64_t samples) const;
  at::Tensor labels_at(size_t site, const at::Tensor& errors, double price) const;
  void find_price(const Run& run, CacheReader& reader, int64_t samples);
  at::Tensor logits_of_first(const Run& run, CacheReader& reader, size_t site, int64_t samples) const;
  bool is_mine(const Run& run, size_t site) const;
  double share_of_cost(const Run& run, const std::function<Spent(size_t site)>& spent) const;
  void report(const Run& run, int64_t samples, double share) const;

  std::vector<AcmSite> sites_;
  at::Tensor weights_;  // float64 [sites]
  at::Tensor price_;    // float64 [1]: lambda
};

}  // namespace acm::phases

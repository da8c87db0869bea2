#pragma once

#include <array>
#include <span>

#include "acm/batch_losses.h"
#include "acm/model.h"
#include "comm/communicator.h"
#include "data/schedule.h"

namespace acm::phases {

// What the samples of one slice chose: counts [samples, sites, learners + 1] (differentiable), token_counts int64
// [samples].
struct SliceStatistics {
  at::Tensor counts, token_counts;
};

// The budget, entropy and diversity losses of a step's global batch, and their gradients for slices of it (method.md
// 5). The losses are functions of small per-sample statistics: those of all ranks are gathered, and each rank lets
// d(global loss)/d(statistics of its samples) flow into its own graph, which is the exact gradient however the batch
// was cut.
class BatchStatistics {
 public:
  BatchStatistics(SiteCosts costs, double beta, EntropyBins bins, std::array<double, 3> weights, int64_t batch,
                  comm::Communicator& group, int cut_unit = 1);

  // Collective. `mine`: statistics of this rank's slices in order (together its contiguous share of the batch).
  void gather(std::span<const SliceStatistics> mine);

  // A scalar whose gradient is that of the weighted global terms with respect to this slice's counts. Its value means
  // nothing.
  at::Tensor surrogate(const data::Slice& slice, const at::Tensor& counts) const;

  // Values over the gathered global batch; weighted(): their weighted sum, float64, without gradient.
  const BatchTerms& terms() const { return terms_; }
  const at::Tensor& weighted() const { return weighted_; }

 private:
  SiteCosts costs_;
  double beta_;
  EntropyBins bins_;
  std::array<double, 3> weights_;  // of budget, entropy and diversity
  int64_t batch_;
  comm::Communicator& group_;
  int cut_unit_;
  BatchTerms terms_;
  at::Tensor weighted_, gradient_;  // [batch, sites, learners + 1]
};

// The statistics of one forward pass whose choices `recorder` took.
SliceStatistics statistics_of(const nn::Recorder& recorder, const std::vector<AcmSite>& sites, const at::Tensor& valid,
                              const at::Tensor& token_counts);

}  // namespace acm::phases

#include "phases/batch_statistics.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <map>
#include <vector>

namespace acm::phases {
namespace {

// Rows of all ranks in the order of the batch: ranks hold slices of nearly equal size, so each sends the largest share,
// padded.
at::Tensor gather_rows(comm::Communicator& group, const at::Tensor& mine, int64_t batch, int slices_per_rank,
                       int cut_unit) {
  const int count = group.size() * slices_per_rank;
  const auto share = [&](int rank) {
    return data::Range{data::cut(batch, rank * slices_per_rank, count, cut_unit).begin,
                       data::cut(batch, (rank + 1) * slices_per_rank - 1, count, cut_unit).end};
  };
  auto padded =
      at::zeros({share(0).size(), mine.size(1)}, mine.options());  // rank 0's share is never smaller than another's
  padded.narrow(0, 0, mine.size(0)).copy_(mine);
  const auto all = group.all_gather(padded);
  std::vector<at::Tensor> rows;
  for (int rank = 0; rank < group.size(); ++rank) rows.push_back(all[rank].narrow(0, 0, share(rank).size()));
  return at::cat(rows);
}

}  // namespace

BatchStatistics::BatchStatistics(SiteCosts costs, double beta, EntropyBins bins, std::array<double, 3> weights,
                                 int64_t batch, comm::Communicator& group, int cut_unit)
    : costs_(std::move(costs)),
      beta_(beta),
      bins_(bins),
      weights_(weights),
      batch_(batch),
      group_(group),
      cut_unit_(cut_unit) {}

void BatchStatistics::gather(std::span<const SliceStatistics> mine) {
  std::vector<at::Tensor> counts, token_counts;
  for (const auto& slice : mine) {
    counts.push_back(slice.counts.detach());
    token_counts.push_back(slice.token_counts);
  }
  const auto my_counts = at::cat(counts);
  // Whole numbers below 2^53: one float64 tensor carries both.
  const auto packed = at::cat({my_counts.flatten(1), at::cat(token_counts).to(at::kDouble).unsqueeze(1)}, 1);
  const auto all = gather_rows(group_, packed, batch_, static_cast<int>(mine.size()), cut_unit_);
  const auto sizes = my_counts.sizes();
  auto global =
      all.narrow(1, 0, sizes[1] * sizes[2]).reshape({batch_, sizes[1], sizes[2]}).clone().set_requires_grad(true);

  at::AutoGradMode with_gradient(true);
  terms_ = batch_terms(global, all.select(1, all.size(1) - 1).to(at::kLong), costs_, beta_, bins_);
  const auto total = weights_[0] * terms_.budget + weights_[1] * terms_.entropy + weights_[2] * terms_.diversity;
  total.backward();
  weighted_ = total.detach();
  gradient_ = global.grad();
}

at::Tensor BatchStatistics::surrogate(const data::Slice& slice, const at::Tensor& counts) const {
  const auto range = data::cut(batch_, slice);
  return (gradient_.narrow(0, range.begin, range.size()) * counts).sum();
}

SliceStatistics statistics_of(const nn::Recorder& recorder, const std::vector<AcmSite>& sites, const at::Tensor& valid,
                              const at::Tensor& token_counts) {
  // Sites with as many classes by few operations: one after another they would be hundreds of small ones.
  std::map<int64_t, std::vector<size_t>> by_min_k;
  for (size_t i = 0; i < sites.size(); ++i) by_min_k[sites[i].layer->shape().min_k].push_back(i);
  std::vector<at::Tensor> counts(sites.size());
  for (const auto& [min_k, members] : by_min_k) {
    std::vector<at::Tensor> mixtures;
    for (const size_t i : members) mixtures.push_back(recorder.at(sites[i].index).mixture);
    const int64_t learners = sites[members.front()].layer->shape().learners;
    const auto of_members = choice_counts(at::stack(mixtures), valid, min_k, learners).unbind(0);
    for (size_t i = 0; i < members.size(); ++i) counts[members[i]] = of_members[i];
  }
  return {at::stack(counts, 1), token_counts};
}

}  // namespace acm::phases

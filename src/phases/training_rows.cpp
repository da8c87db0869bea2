#include "phases/training_rows.h"

#include <ATen/ops/cat.h>

#include <algorithm>

namespace acm::phases {

CacheReader::Rows TrainingRows::at(const std::string& site, int64_t begin, int64_t end) {
  const Kept& kept = kept_[site];
  if (begin < kept.begin || begin >= kept.end) return reader_.rows(site, order_.at(begin, end));
  const int64_t first = begin - kept.begin, count = std::min(end, kept.end) - begin;
  const CacheReader::Rows head{kept.rows.input.narrow(0, first, count), kept.rows.output.narrow(0, first, count)};
  if (end <= kept.end) return head;
  const auto rest = reader_.rows(site, order_.at(kept.end, end));
  return {at::cat({head.input, rest.input}), at::cat({head.output, rest.output})};
}

void TrainingRows::keep(const std::string& site, int64_t begin, int64_t end) {
  if (begin >= end) {
    kept_.erase(site);
    return;
  }
  kept_[site] = {begin, end, at(site, begin, end)};
}

data::Range range_of(std::span<const data::Slice> slices, int64_t batch) {
  return {data::cut(batch, slices.front()).begin, data::cut(batch, slices.back()).end};
}

}  // namespace acm::phases

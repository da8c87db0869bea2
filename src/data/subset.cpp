#include "data/subset.h"

#include <c10/util/Exception.h>

#include <algorithm>

#include "core/digest.h"

namespace acm::data {
namespace {

class Subset final : public DataSource {
 public:
  Subset(std::shared_ptr<const DataSource> whole, std::vector<int64_t> indices)
      : whole_(std::move(whole)), indices_(std::move(indices)) {}

  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  Sample get(int64_t index, StreamKey augmentation) const override {
    Sample sample = whole_->get(indices_.at(static_cast<size_t>(index)), augmentation);
    sample.index = index;
    return sample;
  }
  Batch collate(std::span<const Sample> samples) const override { return whole_->collate(samples); }
  int64_t classes() const override { return whole_->classes(); }
  std::array<int64_t, 3> input_shape() const override { return whole_->input_shape(); }
  Json identity() const override {
    const auto bytes = static_cast<int64_t>(indices_.size() * sizeof(int64_t));
    return Json::object(
        {{"of", whole_->identity()}, {"samples", size()}, {"indices", Digest().update(indices_.data(), bytes).hex()}});
  }
  Json preprocessing() const override { return whole_->preprocessing(); }

 private:
  std::shared_ptr<const DataSource> whole_;
  std::vector<int64_t> indices_;
};

}  // namespace

std::unique_ptr<DataSource> make_subset(std::shared_ptr<const DataSource> whole, std::vector<int64_t> indices) {
  for (const int64_t index : indices)
    TORCH_CHECK(index >= 0 && index < whole->size(), "sample ", index, " of ", whole->size());
  return std::make_unique<Subset>(std::move(whole), std::move(indices));
}

Parts choose_part(int64_t size, int64_t count, StreamKey key) {
  TORCH_CHECK(count >= 0 && count <= size, count, " of ", size, " samples");
  Parts parts;
  std::vector<bool> is_chosen(static_cast<size_t>(size), false);
  const Permutation permutation(size, key);
  for (int64_t i = 0; i < count; ++i) is_chosen[static_cast<size_t>(permutation(i))] = true;
  for (int64_t i = 0; i < size; ++i) (is_chosen[static_cast<size_t>(i)] ? parts.chosen : parts.rest).push_back(i);
  return parts;
}

}  // namespace acm::data

#include "data/blank.h"

#include <ATen/ops/zeros.h>

#include "data/stack.h"

namespace acm::data {
namespace {

class Blank final : public DataSource {
 public:
  Blank(int64_t samples, std::array<int64_t, 3> shape, int64_t classes)
      : samples_(samples), shape_(shape), classes_(classes) {}

  int64_t size() const override { return samples_; }
  Sample get(int64_t index, StreamKey) const override { return {.input = at::zeros(shape_), .index = index}; }
  Batch collate(std::span<const Sample> samples) const override { return stack(samples); }
  int64_t classes() const override { return classes_; }
  std::array<int64_t, 3> input_shape() const override { return shape_; }
  Json identity() const override { return Json::object({{"blank", samples_}}); }
  Json preprocessing() const override { return nullptr; }

 private:
  int64_t samples_;
  std::array<int64_t, 3> shape_;
  int64_t classes_;
};

}  // namespace

std::unique_ptr<DataSource> make_blank_source(int64_t samples, std::array<int64_t, 3> shape, int64_t classes) {
  return std::make_unique<Blank>(samples, shape, classes);
}

}  // namespace acm::data

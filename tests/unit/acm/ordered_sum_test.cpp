#include "acm/ordered_sum.h"

#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "unit/acm/random_layer.h"

namespace acm {
namespace {

TEST(OrderedSum, HasTheSameBitsAtAnyThreadCount) {
  const int threads = at::get_num_threads();
  for (const int64_t size : {100003, 200000, 1000001}) {
    const at::Tensor values = test::random_tensor({size}, at::kDouble, static_cast<uint64_t>(size));
    at::set_num_threads(1);
    const double alone = ordered_sum_of_squares(values).item<double>();
    for (const int count : {2, 3, 5}) {
      at::set_num_threads(count);
      EXPECT_EQ(ordered_sum_of_squares(values).item<double>(), alone) << size << " values, " << count << " threads";
    }
  }
  at::set_num_threads(threads);
}

TEST(OrderedSum, AddsEverySquareInFloat64) {
  for (const int64_t size : {0, 1, 7, 8, 19}) {
    EXPECT_EQ(ordered_sum_of_squares(at::full({size}, 3, at::kFloat)).item<double>(), 9.0 * size);
  }
  // Columns that are not dense, and more terms than float32 can count.
  const at::Tensor wide = at::full({5000, 8000}, 1, at::kFloat);
  EXPECT_EQ(ordered_sum_of_squares(wide.narrow(1, 0, 4001)).item<double>(), 5000.0 * 4001.0);
  EXPECT_EQ(ordered_sum_of_squares(wide).scalar_type(), at::kDouble);
}

}  // namespace
}  // namespace acm

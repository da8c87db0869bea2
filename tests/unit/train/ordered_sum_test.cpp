#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "train/optimizer.h"
#include "unit/train/toy_phase.h"

namespace acm::train {
namespace {

TEST(OrderedSum, IsTheSumOfSquares) {
  for (const int64_t count : {0, 1, 7, 8, 9, 4095, 4096, 4097, 30001}) {
    const at::Tensor values = normal_tensor(StreamKey(1), {count});
    const double* each = values.const_data_ptr<double>();
    long double expected = 0;
    for (int64_t i = 0; i < count; ++i) expected += static_cast<long double>(each[i]) * each[i];
    EXPECT_NEAR(ordered_sum_of_squares(values), static_cast<double>(expected), 1e-12 * static_cast<double>(expected));
    EXPECT_NEAR(ordered_sum_of_squares(values.to(at::kFloat)), static_cast<double>(expected),
                1e-6 * static_cast<double>(expected));
  }
}

TEST(OrderedSum, ReadsStridedTensors) {
  const at::Tensor values = normal_tensor(StreamKey(2), {30, 20});
  EXPECT_EQ(ordered_sum_of_squares(values.t()), ordered_sum_of_squares(values.t().contiguous()));
}

TEST(OrderedSum, HasTheSameBitsAtAnyThreadCount) {
  const int before = at::get_num_threads();
  for (const int64_t count : {100003, 300000, 500001}) {
    const at::Tensor values = normal_tensor(StreamKey(3), {count});
    at::set_num_threads(1);
    const double one = ordered_sum_of_squares(values);
    for (const int threads : {2, 3, 4}) {
      at::set_num_threads(threads);
      EXPECT_EQ(ordered_sum_of_squares(values), one) << count << " values on " << threads << " threads";
    }
  }
  at::set_num_threads(before);
}

}  // namespace
}  // namespace acm::train

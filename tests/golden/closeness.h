#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

namespace golden {

// Whether shape and dtype are equal and no element is further from `expected` than `relative` times the largest
// magnitude in `expected`. Whole numbers, and everything where `relative` is 0, must be equal.
testing::AssertionResult is_close(const at::Tensor& actual, const at::Tensor& expected, double relative);

}  // namespace golden

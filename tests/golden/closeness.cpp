#include "golden/closeness.h"

#include <ATen/TensorOperators.h>

#include <sstream>

namespace golden {

testing::AssertionResult is_close(const at::Tensor& actual, const at::Tensor& expected, double relative) {
  if (!actual.defined()) return testing::AssertionFailure() << "there is no value";
  if (actual.sizes() != expected.sizes() || actual.scalar_type() != expected.scalar_type()) {
    std::ostringstream text;
    text << "shape " << actual.sizes() << " of " << actual.scalar_type() << ", expected " << expected.sizes() << " of "
         << expected.scalar_type();
    return testing::AssertionFailure() << text.str();
  }
  if (expected.numel() == 0) return testing::AssertionSuccess();

  const at::Tensor difference = (actual.to(at::kDouble) - expected.to(at::kDouble)).abs();
  const double largest_difference = difference.max().item<double>();
  const double largest_expected = expected.to(at::kDouble).abs().max().item<double>();
  const bool whole = !expected.is_floating_point();
  const double allowed = whole ? 0.0 : relative * largest_expected;
  if (largest_difference <= allowed) return testing::AssertionSuccess();  // false where it is not a number

  const int64_t worst = difference.argmax().item<int64_t>();
  std::ostringstream text;
  text.precision(17);
  text << "largest difference " << largest_difference << ", allowed " << allowed << " (" << relative << " of "
       << largest_expected << "); element " << worst << " of " << expected.numel() << " is "
       << actual.flatten()[worst].item<double>() << ", expected " << expected.flatten()[worst].item<double>();
  return testing::AssertionFailure() << text.str();
}

}  // namespace golden

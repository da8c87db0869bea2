#include "nn/random_tensor.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <cmath>

namespace acm::nn {
namespace {

// Element i from value(i), computed in float64 whatever the tensor's dtype and device.
template <typename Value>
void fill(at::Tensor& tensor, Value value) {
  const at::Tensor values = at::empty(tensor.sizes(), at::kDouble);
  double* out = values.mutable_data_ptr<double>();
  for (int64_t i = 0; i < values.numel(); ++i) out[i] = value(static_cast<uint64_t>(i));
  const at::NoGradGuard no_grad;
  tensor.copy_(values);
}

// A number beyond the limit is drawn again, from a stream of its own for each try, so that no element depends on
// another.
double truncated_normal(StreamKey key, uint64_t index) {
  constexpr double kLimit = 2.0;
  double value = random_normal(key, index);
  for (uint64_t retry = 1; std::abs(value) > kLimit; ++retry) value = random_normal(key.with(retry), index);
  return value;
}

}  // namespace

void fill_uniform(at::Tensor& tensor, StreamKey key, double low, double high) {
  fill(tensor, [=](uint64_t i) { return low + (high - low) * random_uniform(key, i); });
}

void fill_normal(at::Tensor& tensor, StreamKey key, double std) {
  fill(tensor, [=](uint64_t i) { return std * truncated_normal(key, i); });
}

at::Tensor token_uniform(StreamKey key, const at::Tensor& positions, size_t site, int64_t tokens, int64_t columns) {
  const at::Tensor places = positions.cpu().contiguous();
  const int64_t* place = places.const_data_ptr<int64_t>();
  const at::Tensor out = at::empty({places.numel(), tokens, columns}, at::kDouble);
  double* value = out.mutable_data_ptr<double>();
  const auto numbers = static_cast<uint64_t>(tokens * columns);
  for (int64_t sample = 0; sample < places.numel(); ++sample) {
    const StreamKey stream = key.with(static_cast<uint64_t>(place[sample])).with(site);
    for (uint64_t i = 0; i < numbers; ++i) *value++ = random_uniform(stream, i);
  }
  return out;
}

}  // namespace acm::nn

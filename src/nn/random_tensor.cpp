#include "nn/random_tensor.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#ifdef ACM_WITH_CUDA
#include "nn/cuda/stream.h"
#include "nn/cuda/token_uniform.h"
#endif

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

// A stream for each sample.
std::vector<StreamKey> streams_of(StreamKey key, const at::Tensor& positions, size_t site) {
  const at::Tensor places = positions.contiguous();
  std::vector<StreamKey> streams;
  for (const int64_t place : std::span(places.const_data_ptr<int64_t>(), static_cast<size_t>(places.numel())))
    streams.push_back(key.with(static_cast<uint64_t>(place)).with(site));
  return streams;
}

#ifdef ACM_WITH_CUDA
at::Tensor token_uniform_on_gpu(const at::Tensor& streams, int64_t tokens, int64_t columns) {
  const int64_t samples = streams.size(0);
  const at::Tensor out = at::empty({samples, tokens, columns}, streams.options().dtype(at::kDouble));
  check_launch(fill_token_uniform(streams.const_data_ptr<int64_t>(), samples, tokens * columns,
                                  out.mutable_data_ptr<double>(), OnGpu(streams.device()).stream()),
               "draw random numbers");
  return out;
}
#endif

}  // namespace

void fill_uniform(at::Tensor& tensor, StreamKey key, double low, double high) {
  fill(tensor, [=](uint64_t i) { return low + (high - low) * random_uniform(key, i); });
}

void fill_normal(at::Tensor& tensor, StreamKey key, double std) {
  fill(tensor, [=](uint64_t i) { return std * truncated_normal(key, i); });
}

at::Tensor token_streams(StreamKey key, const at::Tensor& positions, size_t first_site, size_t sites,
                         at::Device device) {
  TORCH_CHECK(positions.is_cpu(), "positions lie on the host");
  const at::Tensor keys = at::empty({static_cast<int64_t>(sites), positions.numel()},
                                    at::TensorOptions().dtype(at::kLong).pinned_memory(!device.is_cpu()));
  int64_t* to = keys.mutable_data_ptr<int64_t>();
  for (size_t site = first_site; site < first_site + sites; ++site)
    for (const StreamKey stream : streams_of(key, positions, site)) *to++ = static_cast<int64_t>(stream.value());
  return keys.to(device, at::kLong, /*non_blocking=*/true);
}

at::Tensor token_uniform(StreamKey key, const at::Tensor& positions, size_t site, int64_t tokens, int64_t columns,
                         at::Device device) {
  TORCH_CHECK(positions.is_cpu(), "positions lie on the host");
#ifdef ACM_WITH_CUDA
  if (device.is_cuda()) return token_uniform_on_gpu(token_streams(key, positions, site, 1, device)[0], tokens, columns);
#endif
  const std::vector<StreamKey> streams = streams_of(key, positions, site);
  const auto samples = static_cast<int64_t>(streams.size());
  const at::Tensor out =
      at::empty({samples, tokens, columns}, at::TensorOptions(at::kDouble).pinned_memory(!device.is_cpu()));
  double* value = out.mutable_data_ptr<double>();
  const auto numbers = static_cast<uint64_t>(tokens * columns);
  for (const StreamKey stream : streams)
    for (uint64_t i = 0; i < numbers; ++i) *value++ = random_uniform(stream, i);
  return out.to(device, at::kDouble, /*non_blocking=*/true);
}

}  // namespace acm::nn

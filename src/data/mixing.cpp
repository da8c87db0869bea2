#include "data/mixing.h"

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "data/beta.h"

namespace acm::data {
namespace {

// Numbers of the stream that decides a step's mix.
enum Draw : uint64_t { kMixed, kSwitch, kCentreY, kCentreX };

// Plain loops: an operator of the library would start a team of threads of its own under each loader thread.
template <class Number>
void blend(Number* first, Number* second, int64_t values, double lambda) {
  const auto own = static_cast<Number>(lambda), other = static_cast<Number>(1 - lambda);
  for (int64_t i = 0; i < values; ++i) {
    const Number a = first[i], b = second[i];
    first[i] = own * a + other * b;
    second[i] = own * b + other * a;
  }
}

template <class Number>
void exchange(Number* first, Number* second, at::IntArrayRef shape, const Box& box) {
  for (int64_t channel = 0; channel < shape[0]; ++channel) {
    for (int64_t y = box.top; y < box.top + box.height; ++y) {
      const int64_t row = (channel * shape[1] + y) * shape[2] + box.left;
      std::swap_ranges(first + row, first + row + box.width, second + row);
    }
  }
}

// [centre - cut / 2, centre + cut / 2) within [0, side), where cut is the whole part of side * share: begin and length.
std::pair<int64_t, int64_t> cut_side(int64_t side, double share, int64_t centre) {
  const int64_t half = static_cast<int64_t>(static_cast<double>(side) * share) / 2;
  const int64_t begin = std::max<int64_t>(centre - half, 0), end = std::min(centre + half, side);
  return {begin, end - begin};
}

}  // namespace

Box cutmix_box(const ImageSize& size, double lambda, int64_t centre_y, int64_t centre_x) {
  const double share = std::sqrt(1 - lambda);
  const auto [top, height] = cut_side(size.height, share, centre_y);
  const auto [left, width] = cut_side(size.width, share, centre_x);
  return {.left = left, .top = top, .width = width, .height = height};
}

double share_outside(const Box& box, const ImageSize& size) {
  return 1 - static_cast<double>(box.width * box.height) / static_cast<double>(size.width * size.height);
}

void mix_pair(const at::Tensor& first, const at::Tensor& second, const Mix& mix) {
  TORCH_CHECK(first.dim() == 3 && first.sizes() == second.sizes() && first.is_contiguous() && second.is_contiguous(),
              "only contiguous pictures of one shape are mixed");
  AT_DISPATCH_FLOATING_TYPES(first.scalar_type(), "mix_pair", [&] {
    auto* a = first.mutable_data_ptr<scalar_t>();
    auto* b = second.mutable_data_ptr<scalar_t>();
    if (mix.kind == Mix::Kind::kMixup) blend(a, b, first.numel(), mix.lambda);
    if (mix.kind == Mix::Kind::kCutmix) exchange(a, b, first.sizes(), mix.box);
  });
}

at::Tensor smoothed_targets(const at::Tensor& labels, int64_t classes, double smoothing, at::ScalarType dtype) {
  at::Tensor targets = at::empty({labels.numel(), classes}, at::TensorOptions().dtype(dtype));
  const int64_t* label = labels.const_data_ptr<int64_t>();
  AT_DISPATCH_FLOATING_TYPES(dtype, "smoothed_targets", [&] {
    auto* row = targets.mutable_data_ptr<scalar_t>();
    const double rest = smoothing / static_cast<double>(classes);
    for (int64_t sample = 0; sample < labels.numel(); ++sample, row += classes) {
      TORCH_CHECK(label[sample] >= 0 && label[sample] < classes, "label ", label[sample], " of ", classes, " classes");
      std::fill_n(row, classes, static_cast<scalar_t>(rest));
      row[label[sample]] = static_cast<scalar_t>(1 - smoothing + rest);
    }
  });
  return targets;
}

Mixing::Mixing(const AugmentConfig& config, int64_t classes, StreamKey key)
    : config_(config), classes_(classes), key_(key) {}

Mix Mixing::draw(int64_t step, const ImageSize& size) const {
  const StreamKey key = key_.with(static_cast<uint64_t>(step));
  if (!config_.mixes() || random_uniform(key, kMixed) >= config_.mix_probability) return {};
  const bool cuts = config_.cutmix > 0 && (config_.mixup <= 0 || random_uniform(key, kSwitch) < config_.mix_switch);
  const double lambda = random_beta(key.with("lambda"), cuts ? config_.cutmix : config_.mixup);
  if (!cuts) return {.kind = Mix::Kind::kMixup, .lambda = lambda};
  const auto centre = [&](Draw draw, int64_t side) {
    return static_cast<int64_t>(random_below(key, draw, static_cast<uint64_t>(side)));
  };
  const Box box = cutmix_box(size, lambda, centre(kCentreY, size.height), centre(kCentreX, size.width));
  return {.kind = Mix::Kind::kCutmix, .lambda = share_outside(box, size), .box = box};
}

void Mixing::apply(Batch& batch, int64_t step) const {
  TORCH_CHECK(!config_.mixes() || batch.positions.const_data_ptr<int64_t>()[0] % 2 == 0,
              "a batch that is mixed must begin at an even position, with a whole pair");
  const Mix mix = draw(step, {.height = batch.inputs.size(-2), .width = batch.inputs.size(-1)});
  batch.targets = smoothed_targets(batch.labels, classes_, config_.label_smoothing, at::kFloat);
  if (mix.kind == Mix::Kind::kNone) return;
  float* targets = batch.targets.mutable_data_ptr<float>();
  for (int64_t i = 0; i + 1 < batch.samples(); i += 2) {
    mix_pair(batch.inputs[i], batch.inputs[i + 1], mix);
    blend(targets + i * classes_, targets + (i + 1) * classes_, classes_, mix.lambda);
  }
}

}  // namespace acm::data

#pragma once

#include <cstdint>

#include "core/random.h"
#include "data/batch.h"
#include "data/image/image.h"
#include "data/open.h"

namespace acm::data {

// What one step does to its pairs of samples.
struct Mix {
  enum class Kind { kNone, kMixup, kCutmix };
  Kind kind = Kind::kNone;
  double lambda = 1;  // a sample's share in its own picture and target; cutmix: of the pixels outside the box
  Box box = {};       // cutmix: what comes from the other
};

// Mixup (Zhang et al., ICLR 2018), cutmix (Yun et al., ICCV 2019) and label smoothing of training batches. The partner
// of a sample is the other of its pair of positions (2 i, 2 i + 1), so that pairs lie within one slice however a batch
// is cut. One switch, one lambda and one box hold for a whole step and are functions of (key, step): the same pixels
// at any number of ranks, slices or threads.
class Mixing {
 public:
  Mixing(const AugmentConfig& config, int64_t classes, StreamKey key);

  Mix draw(int64_t step, const ImageSize& size) const;
  // Mixes inputs [samples, channels, height, width] in place and sets the targets. Where samples are mixed, the
  // first position must be even; a last one without a partner stays as it is.
  void apply(Batch& batch, int64_t step) const;

 private:
  AugmentConfig config_;
  int64_t classes_;
  StreamKey key_;
};

// Cutmix's box around a centre: of sides int(side * sqrt(1 - lambda)), clipped to the picture.
Box cutmix_box(const ImageSize& size, double lambda, int64_t centre_y, int64_t centre_x);
// The share of the picture outside the box: lambda, corrected.
double share_outside(const Box& box, const ImageSize& size);

// Mixes two pictures [channels, height, width] with each other, in place: each becomes lambda of itself and 1 - lambda
// of the other, or they exchange the box. Floating-point, contiguous.
void mix_pair(const at::Tensor& first, const at::Tensor& second, const Mix& mix);

// (1 - smoothing) onehot + smoothing / classes: [samples, classes].
at::Tensor smoothed_targets(const at::Tensor& labels, int64_t classes, double smoothing, at::ScalarType dtype);

}  // namespace acm::data

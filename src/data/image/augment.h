#pragma once

#include <array>

#include "core/random.h"
#include "data/image/image.h"
#include "data/open.h"

namespace acm::data {

// The part of a picture that random resized crop takes: its area a share in `scale` of the whole, its aspect ratio
// between 3/4 and 4/3, as torchvision draws them (ten tries, then the largest central part of a fitting ratio).
Box random_resized_box(const ImageSize& size, const std::vector<double>& scale, StreamKey key);

// What [augment] changes in the picture after the crop, in the order of DeiT-III: flip, one of grayscale, solarize and
// blur, colour jitter. A function of the picture and `key`.
void augment(Image& image, const AugmentConfig& config, StreamKey key);

// The operations, in place, each as Pillow computes it; golden/images/augmentation has their formulas.
void flip(Image& image);
void grayscale(Image& image);
void solarize(Image& image);            // values from 128 on are turned over
void blur(Image& image, double sigma);  // three box blurs along the rows, three along the columns
enum class Colour { kBrightness, kContrast, kSaturation };
// 0: black, the mean grey, grey; 1: the picture as it is.
void adjust(Image& image, Colour what, double factor);

}  // namespace acm::data

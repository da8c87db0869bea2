#pragma once

#include "data/image/resize_taps.h"

namespace acm::data {

// Both passes sum in whole numbers, so every processor gives the same bytes.

// [rows, taps.spans.size()]: rows first_row, first_row + 1, ... of the image with their width resampled.
Image resample_width(const Image& image, int64_t first_row, int64_t rows, const Taps& taps);
// [taps.spans.size(), width]: the height resampled. `taps` counts rows from `first_row` on as the image's first.
Image resample_height(const Image& image, int64_t first_row, const Taps& taps);

}  // namespace acm::data

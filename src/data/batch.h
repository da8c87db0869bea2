#pragma once

#include <ATen/core/Tensor.h>

#include <array>

namespace acm::data {

// Samples of one slice, padded to a common length where they differ.
struct Batch {
  at::Tensor inputs;  // images [samples, channels, height, width]; waveforms [samples, time]
  at::Tensor
      lengths;  // int64 [samples]: valid extent of each input along its last axis; undefined where nothing is padded
  at::Tensor labels;   // int64 [samples]
  at::Tensor targets;  // float32 [samples, classes]: soft targets where samples are mixed or labels smoothed;
                       // undefined: labels alone
  at::Tensor
      positions;  // int64 [samples], always on the host: places in the schedule, the key of a sample's randomness
  int64_t samples() const { return positions.numel(); }
  // What lies on the model's device; some may be undefined.
  std::array<at::Tensor*, 4> read_by_models() { return {&inputs, &lengths, &labels, &targets}; }
};

}  // namespace acm::data

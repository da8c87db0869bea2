#pragma once

#include "acm/cuda/mixed_shape.h"

namespace acm {

// The parameters of sites as AcmLayer and Gate store them, float32, and as two products read them. All pointers lie on
// the GPU; `stream` is a cudaStream_t, on which the work is put. Both functions give what CUDA says of that, or
// nullptr.

template <class Number>  // float, or const float
struct SiteParameters {
  Number *w1, *b1, *w2;                           // [D, N b], [N b], [N b, D]
  Number *gate_w1, *gate_b1, *gate_w2, *gate_b2;  // [gate_hidden, D], [gate_hidden], [allowed, gate_hidden], [allowed]
  Number* b2;                                     // [N, D], or null
};

// `w1` and `w2` in the type of the products, zeros where nothing stands.
struct PackedSites {
  void* w1;           // [D, sites, columns]
  void* b1;           // [sites, columns], in the type of the products
  void* w2;           // [sites, columns, D]
  float* gate_layer;  // [sites, allowed, gate_hidden + 1], the bias last
};
const char* pack_on_gpu(const MixedShape& shape, const SiteParameters<const float>* sites, const PackedSites& to,
                        void* stream);

// Gradients, the other way. Those of the first bias are float32.
struct PackedGradients {
  const void* w1;
  const float* b1;
  const void* w2;
  const float* gate_layer;
};
const char* unpack_on_gpu(const MixedShape& shape, const PackedGradients& from, const SiteParameters<float>* sites,
                          void* stream);

}  // namespace acm

#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>

namespace acm {

// Gated sites of which all learners run, on a GPU, carried by two products. The gate's first layer stands behind the
// learners' in one matrix, so that a row is its learners' hidden units and then the gate's; and the output biases stand
// behind the learners' second layer, where the second product multiplies them by the learners' shares. Sites of equal
// sizes that read the same tokens (q, k and v) stand side by side: the first product is one for all of them.
//
// Rows of hidden units are [rows, sites, columns()] in `type` (float32, bfloat16 or float16), without gaps.
struct MixedShape {
  at::ScalarType type;
  int64_t sites;
  int64_t width, learners, learner_width;  // D, N, b
  bool gelu;                               // the learners' activation; else the identity
  int64_t gate_hidden, min_k;
  bool gate_gelu;
  constexpr int64_t allowed() const { return learners + 1 - min_k; }
  constexpr int64_t hidden() const { return learners * learner_width; }
  // Of them `hidden()` are the learners', then come the gate's, or the shares, and what fills up eight.
  constexpr int64_t columns() const {
    return (hidden() + (gate_hidden > learners ? gate_hidden : learners) + 7) / 8 * 8;
  }
  constexpr int64_t gate_layer() const { return allowed() * (gate_hidden + 1); }  // numbers of the gate's second layer
  constexpr int64_t gate_sums() const { return gate_layer() + gate_hidden + 1; }  // and of its first layer's biases
};
inline constexpr int64_t kMostSites = 3, kMostAllowed = 16;

}  // namespace acm

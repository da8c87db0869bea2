#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>

namespace acm {

// The steps of a gated site on a GPU that are not products, where all learners run. Two products carry everything: the
// gate's first layer stands behind the learners' in one matrix, so that a row is its learners' hidden units and then
// the gate's; and the output biases stand behind the learners' second layer, where the second product multiplies them
// by the learners' shares. All pointers lie on the GPU; `stream` is a cudaStream_t, on which the work is put. Each
// function gives what CUDA says of that, or nullptr.

// Sizes of a site. Rows of `columns()` numbers in `type` (float32, bfloat16 or float16) have no gaps between them.
struct MixedShape {
  at::ScalarType type;
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
};
inline constexpr int64_t kMostGateHidden = 128, kMostAllowed = 16;

// float32, as AcmLayer and Gate store them; b2 may be null.
struct MixedWeights {
  const float *w1, *b1, *w2, *b2;  // [D, N b], [N b], [N b, D], [N, D]
  const float *gate_w1, *gate_b1;  // [gate_hidden, D], [gate_hidden]
};
// w1 [D, columns], b1 [columns] and w2 [columns, D] of the two products, in `type`; zeros where nothing stands.
const char* pack_on_gpu(const MixedShape& shape, const MixedWeights& from, void* w1, void* b1, void* w2, void* stream);

// The gate's second layer, float32, and how it chooses.
struct MixedGate {
  const float *w2, *b2;                 // [allowed, gate_hidden], [allowed]
  const int64_t* noise_keys = nullptr;  // of each sample's stream of uniform numbers; null: without noise
  int64_t tokens = 1;                   // of a sample
  float temperature = 1;
};
// Of each row of `before`, float32 [rows, allowed]: `logits`; with noise, `soft` = softmax((logits + Gumbel noise) /
// temperature) and `mixture` = 1 at the largest of these sums, else 0 (both may be null). choice int64 [rows] = min_k +
// the class of the largest, the first among equals; one that is not a number counts as the largest. `before`: the
// gate's hidden units before the activation, `stride` numbers from row to row.
const char* decide_on_gpu(const MixedShape& shape, const MixedGate& gate, const void* before, int64_t stride,
                          int64_t rows, float* logits, float* soft, float* mixture, int64_t* choice, void* stream);

// scaled [rows, columns] = the activation of what `before` has of the learners that a row chose, zeros of others, and
// in the place of the gate's units each learner's share, 1 or 0. May be `before` itself.
const char* scale_on_gpu(const MixedShape& shape, const void* before, const int64_t* choice, int64_t rows, void* scaled,
                         void* stream);

// From `gradients` [rows, columns] with respect to scaled, in place, those with respect to the learners' part of
// `before`; share_gradients float32 [rows, learners].
const char* scale_backward_on_gpu(const MixedShape& shape, void* gradients, const void* before, const int64_t* choice,
                                  int64_t rows, float* share_gradients, void* stream);

// Rows whose sums decide_backward_on_gpu makes at once.
inline constexpr int64_t kDecideRows = 64;
// From gradients with respect to mixture (float32 [rows, allowed]) and to the shares (float32 [rows, learners]), each
// null where there are none: those with respect to the gate's part of `before`, in the gate's place in `gradients`,
// where zeros fill up the row; and of each kDecideRows rows, float32 [allowed, gate_hidden + 1], those of the second
// layer's weights, the bias last.
const char* decide_backward_on_gpu(const MixedShape& shape, const MixedGate& gate, const void* before,
                                   const float* soft, const float* mixture_gradients, const float* share_gradients,
                                   int64_t rows, void* gradients, float* layer_gradients, void* stream);

// Of blocks of tokens, too (gated_on_gpu.h): hidden [rows, columns] of `type`, in place the activation of each number
// plus the bias of its column.
const char* activate_on_gpu(at::ScalarType type, bool gelu, void* hidden, const void* bias, int64_t rows,
                            int64_t columns, void* stream);

// parts [row_parts(rows, columns), columns] float32: each the sum of rows so far apart of numbers of `type`.
int64_t row_parts(int64_t rows, int64_t columns);
const char* sum_rows_on_gpu(at::ScalarType type, const void* numbers, int64_t rows, int64_t columns, float* parts,
                            void* stream);

}  // namespace acm

#pragma once

#include <cstdint>

#include "acm/cuda/learner_shape.h"

namespace acm {

// The two layers of the learners of sites that read the same tokens, on a GPU of compute capability 9.0, in bfloat16:
// all learners are multiplied, and the first product ends with biases, activation and zeros for those that do not run.
// Each layer is one product for all sites. All pointers but those of `stream`, a cudaStream_t, lie on the GPU; rows
// stand behind one another without gaps. Each function puts its work on the stream and gives what CUDA says of that, or
// nullptr.
struct MaskedShape {
  int64_t sites, rows;  // tokens
  LearnerShape learners;
};
// Whether the GPU can, the width is a multiple of nn::kRowGroup, hidden units of a site of 64, those of a learner of
// eight.
bool has_masked_products(const LearnerShape& shape);

// What follows is bfloat16, but for the choice.
struct MaskedFirst {
  const void* tokens;     // [rows, width]
  const void* w1;         // [sites, hidden, width], rows as nn::kRowGroup says
  const void* b1;         // [sites, hidden]
  bool gelu;              // else the identity
  const int64_t* choice;  // [sites, rows]: learners that run; none where it is negative, all where it is too large
  void* hidden;           // [rows, sites, hidden]
};
const char* masked_first_on_gpu(const MaskedShape& shape, const MaskedFirst& layer, void* stream);

struct MaskedSecond {
  const void* hidden;  // as above
  const void* w2;      // [sites, width, hidden], rows as nn::kRowGroup says
  void* outputs;       // [sites, rows, width]
};
const char* masked_second_on_gpu(const MaskedShape& shape, const MaskedSecond& layer, void* stream);

}  // namespace acm

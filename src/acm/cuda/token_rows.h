#pragma once

#include <cstdint>

namespace acm {

// The steps of gated execution that are not products, on a GPU. All pointers but those of `stream`, a cudaStream_t, lie
// there; rows of tensors stand behind one another without gaps. Each function puts its work on the stream and gives
// what CUDA says of that, or nullptr.

// choice[row] = least + the class of the largest logit, the first among equals; one that is not a number counts as the
// largest (`largest` of gate.h). logits [rows, classes].
const char* choose_on_gpu(const float* logits, int64_t rows, int64_t classes, int64_t least, int64_t* choice,
                          void* stream);

// Counting sort, stable: order [rows] has the tokens by falling count of learners, sizes [learners + 1] how many there
// are of each count. Tokens of another count are in neither.
const char* order_on_gpu(const int64_t* choice, int64_t rows, int64_t learners, int64_t* order, int64_t* sizes,
                         void* stream);

// to[i] = from[order[i]] for the first `rows` of the order, rows of so many bytes.
const char* gather_on_gpu(const void* from, const int64_t* order, int64_t rows, int64_t bytes, void* to, void* stream);

// to[order[i]] = from[i] for the first `filled` of all `rows` of the order, and zeros for the others.
const char* scatter_on_gpu(const void* from, const int64_t* order, int64_t filled, int64_t rows, int64_t bytes,
                           void* to, void* stream);

// Sets the hidden units of each row that are not of its first choice[row] learners to zero. bytes: of a row,
// learner_bytes: of one learner's units in it.
const char* clear_unchosen_on_gpu(void* hidden, const int64_t* choice, int64_t rows, int64_t bytes,
                                  int64_t learner_bytes, void* stream);

}  // namespace acm

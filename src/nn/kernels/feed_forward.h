#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <initializer_list>

#include "nn/kernels/product.h"

namespace acm::nn {

// Layers of a forward pass without gradients on the CPU. Rows are cut into blocks by shapes alone, and a block is
// computed by one thread: the bits are the same for any number of threads.

// Whether kernels can read these tensors (undefined ones aside): float32 on the CPU, packed, and no autocast.
bool kernels_fit(std::initializer_list<at::Tensor> tensors);
// Whether the functions below may be used: the kernels fit, and no gradient is asked of any of the tensors.
bool kernels_apply(std::initializer_list<at::Tensor> tensors);

// tokens weight' + bias. tokens [..., in], weight [out, in], bias [out] or undefined -> [..., out]. Where the kernels
// do not apply it is the tensor operation.
at::Tensor linear(const at::Tensor& tokens, const at::Tensor& weight, const at::Tensor& bias);

// Two layers with gelu, or nothing, between them; the hidden units of a block of rows never leave the cache of a core.
struct FeedForward {
  MatrixView w1, w2;  // [width, hidden], [hidden, width]
  const float* b1;    // [hidden]
  const float* b2;    // [width], or nullptr: none
  int64_t width, hidden;
  bool gelu;
};
// tokens [..., width] -> the same shape.
at::Tensor feed_forward(const at::Tensor& tokens, const FeedForward& layer);

// The most rows of a block of `rows` rows, for a layer that makes `columns` numbers of each: enough blocks for eight
// threads, large enough for fast products, which lay out a matrix anew for each block (half as high, a dense ViT-B took
// 1.05 to 1.15 times as long), small enough for 4 MB of results.
int64_t most_block_rows(int64_t rows, int64_t columns);
// The height of nearly equal parts of `rows` rows, none higher than `most`.
int64_t even_height(int64_t rows, int64_t most);
// One block, on the thread that calls. in and out [rows, width] packed; scratch: rows * hidden numbers.
void run_block(const FeedForward& layer, const float* in, int64_t rows, float* scratch, float* out);

// Threads among which work that begins here is shared.
int64_t sharing_threads();
// Calls work(i) for every i below `count`, thread t of all threads for i = t, t + threads, ...; the products of a call
// run on its thread alone.
void share_among_threads(int64_t count, const std::function<void(int64_t)>& work);
// The same for blocks of at most `height` rows of `rows`: work(first row, rows of the block).
void share_rows_among_threads(int64_t rows, int64_t height, const std::function<void(int64_t, int64_t)>& work);
// The same for the blocks of a layer that makes `columns` numbers of each row.
void for_each_block(int64_t rows, int64_t columns, const std::function<void(int64_t, int64_t)>& work);

}  // namespace acm::nn

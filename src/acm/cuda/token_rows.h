#pragma once

#include <cstdint>

namespace acm {

// The steps of gated execution that are not products, on a GPU. All pointers but those of `stream`, a cudaStream_t, lie
// there; rows of tensors stand behind one another without gaps. Each function puts its work on the stream and gives
// what CUDA says of that, or nullptr.

// Counting sort, stable: order [rows] has the tokens by falling count of learners, those of impossible counts last;
// sizes [learners + 2]: how many there are of each count, and last of impossible ones. counts [order_segments(rows),
// learners + 2]: for the time of the work. learners <= kMostOrdered, and at least one row.
inline constexpr int64_t kMostOrdered = 16;
int64_t order_segments(int64_t rows);
const char* order_on_gpu(const int64_t* choice, int64_t rows, int64_t learners, int64_t* counts, int64_t* order,
                         int64_t* sizes, void* stream);

// to[i] = from[order[i]] for the first `rows` of the order, rows of so many bytes.
const char* gather_on_gpu(const void* from, const int64_t* order, int64_t rows, int64_t bytes, void* to, void* stream);

// to[order[i]] = from[i] for the first `filled` of all `rows` of the order, and zeros for the others.
const char* scatter_on_gpu(const void* from, const int64_t* order, int64_t filled, int64_t rows, int64_t bytes,
                           void* to, void* stream);

}  // namespace acm

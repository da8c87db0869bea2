#pragma once

#include <cstdint>

namespace acm::nn {

// The order of rows in a right factor of product_loop.h: of every kRowGroup rows, row 8 l + 2 p + e (l, p < 4, e < 2)
// stands at place 8 p + 2 l + e. A thread has columns 8 p + 2 l + e of a product, for one l; so they are eight side by
// side, and it writes them at once.
inline constexpr int64_t kRowGroup = 32;

}  // namespace acm::nn

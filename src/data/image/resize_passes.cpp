#include "data/image/resize_passes.h"

#include <algorithm>

namespace acm::data {
namespace {

// Eight 32-bit numbers, one AVX2 register or two of SSE2. Written out, because GCC does not vectorise these loops at
// the level at which the program is compiled.
using Lanes = int32_t __attribute__((vector_size(32), aligned(4), may_alias));
using Octet = uint8_t __attribute__((vector_size(8), aligned(1), may_alias));

constexpr int64_t kLanes = 8;
constexpr int32_t kHalf = 1 << (Taps::kFractionBits - 1);

#define ACM_INLINE [[gnu::always_inline]] inline

ACM_INLINE void to_bytes_range(Lanes& sum) {
  sum >>= Taps::kFractionBits;
  sum = sum < 0 ? Lanes{} : sum;
  sum = sum > 255 ? Lanes{} + 255 : sum;
}

// Two rows at once, as red, green, blue and nothing of one and of the other: eight numbers a pixel.
ACM_INLINE void spread(const uint8_t* upper, const uint8_t* lower, int64_t pixels, int32_t* out) {
  for (int64_t x = 0; x < pixels; ++x, upper += 3, lower += 3, out += kLanes) {
    for (int c = 0; c < 3; ++c) {
      out[c] = upper[c];
      out[c + 4] = lower[c];
    }
  }
}

ACM_INLINE void two_rows(const int32_t* spread_rows, const Taps& taps, uint8_t* upper, uint8_t* lower) {
  const auto count = static_cast<int64_t>(taps.spans.size());
  for (int64_t i = 0; i < count; ++i, upper += 3, lower += 3) {
    const Taps::Span span = taps.spans[static_cast<size_t>(i)];
    const int32_t* weights = taps.weights_of(i);
    const auto* pixels = reinterpret_cast<const Lanes*>(spread_rows + span.first * kLanes);
    Lanes sum = Lanes{} + kHalf;
    for (int64_t tap = 0; tap < span.count; ++tap) sum += pixels[tap] * weights[tap];
    to_bytes_range(sum);
    for (int c = 0; c < 3; ++c) {
      upper[c] = static_cast<uint8_t>(sum[c]);
      lower[c] = static_cast<uint8_t>(sum[c + 4]);
    }
  }
}

ACM_INLINE void one_row(const uint8_t* const* rows, const int32_t* weights, int64_t taps, int64_t bytes, uint8_t* out) {
  int64_t x = 0;
  for (; x + 4 * kLanes <= bytes; x += 4 * kLanes) {
    Lanes sums[4] = {Lanes{} + kHalf, Lanes{} + kHalf, Lanes{} + kHalf, Lanes{} + kHalf};
    for (int64_t tap = 0; tap < taps; ++tap) {
      const auto* octets = reinterpret_cast<const Octet*>(rows[tap] + x);
      for (int i = 0; i < 4; ++i) sums[i] += __builtin_convertvector(octets[i], Lanes) * weights[tap];
    }
    for (int i = 0; i < 4; ++i) {
      to_bytes_range(sums[i]);
      reinterpret_cast<Octet*>(out + x)[i] = __builtin_convertvector(sums[i], Octet);
    }
  }
  for (; x < bytes; ++x) {
    int32_t sum = kHalf;
    for (int64_t tap = 0; tap < taps; ++tap) sum += rows[tap][x] * weights[tap];
    out[x] = static_cast<uint8_t>(std::clamp(sum >> Taps::kFractionBits, 0, 255));
  }
}

// Each pass by itself, compiled for processors with AVX2 and for all others.
struct Passes {
  void (*width)(const Image& image, int64_t first_row, const Taps& taps, Image& out);
  void (*height)(const Image& image, int64_t first_row, const Taps& taps, Image& out);
};

ACM_INLINE void width_pass(const Image& image, int64_t first_row, const Taps& taps, Image& out) {
  std::vector<int32_t> rows(static_cast<size_t>(image.width * kLanes));
  for (int64_t y = 0; y < out.height; y += 2) {
    const int64_t other = std::min(y + 1, out.height - 1);  // an odd last row is computed twice
    const auto row = [&](int64_t of) { return image.pixels.data() + (first_row + of) * image.width * 3; };
    const auto result = [&](int64_t of) { return out.pixels.data() + of * out.width * 3; };
    spread(row(y), row(other), image.width, rows.data());
    two_rows(rows.data(), taps, result(y), result(other));
  }
}

ACM_INLINE void height_pass(const Image& image, int64_t first_row, const Taps& taps, Image& out) {
  const int64_t bytes = image.width * 3;
  std::vector<const uint8_t*> rows(static_cast<size_t>(taps.stride));
  for (int64_t y = 0; y < out.height; ++y) {
    const Taps::Span span = taps.spans[static_cast<size_t>(y)];
    for (int64_t tap = 0; tap < span.count; ++tap) {
      rows[static_cast<size_t>(tap)] = image.pixels.data() + (span.first - first_row + tap) * bytes;
    }
    one_row(rows.data(), taps.weights_of(y), span.count, bytes, out.pixels.data() + y * bytes);
  }
}

void width_plain(const Image& image, int64_t first_row, const Taps& taps, Image& out) {
  width_pass(image, first_row, taps, out);
}
void height_plain(const Image& image, int64_t first_row, const Taps& taps, Image& out) {
  height_pass(image, first_row, taps, out);
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] void width_avx2(const Image& image, int64_t first_row, const Taps& taps, Image& out) {
  width_pass(image, first_row, taps, out);
}
[[gnu::target("avx2")]] void height_avx2(const Image& image, int64_t first_row, const Taps& taps, Image& out) {
  height_pass(image, first_row, taps, out);
}
#endif

Passes best_passes() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return {width_avx2, height_avx2};
#endif
  return {width_plain, height_plain};
}

Image image_of(int64_t height, int64_t width) {
  return {height, width, std::vector<uint8_t>(static_cast<size_t>(height * width * 3))};
}

}  // namespace

Image resample_width(const Image& image, int64_t first_row, int64_t rows, const Taps& taps) {
  Image out = image_of(rows, static_cast<int64_t>(taps.spans.size()));
  best_passes().width(image, first_row, taps, out);
  return out;
}

Image resample_height(const Image& image, int64_t first_row, const Taps& taps) {
  Image out = image_of(static_cast<int64_t>(taps.spans.size()), image.width);
  best_passes().height(image, first_row, taps, out);
  return out;
}

}  // namespace acm::data

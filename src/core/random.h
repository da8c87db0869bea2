#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace acm {

// Names one stream of random numbers. Keys are derived, never advanced: StreamKey(seed).with("distill").with(step) is
// the same stream on every rank and in every run, so there is no generator state to save.
class StreamKey {
 public:
  explicit constexpr StreamKey(uint64_t seed = 0) : value_(seed) {}
  StreamKey with(uint64_t number) const;
  StreamKey with(std::string_view name) const;
  uint64_t value() const { return value_; }
  friend bool operator==(StreamKey, StreamKey) = default;

 private:
  uint64_t value_;
};

// Philox4x32-10 (Salmon et al., SC11): four random words from a key and a counter; equal arguments give equal words.
std::array<uint32_t, 4> philox(StreamKey key, uint64_t counter);

// Number `index` of the stream: 64 random bits, or a double in the open interval (0, 1) with 52 random bits.
uint64_t random_bits(StreamKey key, uint64_t index);
double random_uniform(StreamKey key, uint64_t index);
// Standard normal by Box-Muller from two words of the same index.
double random_normal(StreamKey key, uint64_t index);
// Uniform in [0, bound), bound > 0.
uint64_t random_below(StreamKey key, uint64_t index, uint64_t bound);

// A permutation of 0..size-1 that gives its i-th element in O(1) without storing it: a keyed Feistel network over the
// next power of four, walked until the value lies inside.
class Permutation {
 public:
  Permutation(int64_t size, StreamKey key);
  int64_t operator()(int64_t index) const;
  int64_t size() const { return size_; }

 private:
  int64_t size_;
  StreamKey key_;
  int half_bits_;
};

}  // namespace acm

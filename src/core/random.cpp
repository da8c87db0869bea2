#include "core/random.h"

#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

#include "core/philox.h"

// Checkpoints store no generator state, so nothing here may change once a run depends on it: not a constant, not an
// order.
namespace acm {
namespace {

constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;
constexpr uint64_t kNumberDomain = 0xD1B54A32D192ED03;
constexpr uint64_t kNameDomain = 0xABC98388FB8FAC03;

// The finaliser of splitmix64: a bijection in which every bit of the input moves every bit of the result.
constexpr uint64_t mix(uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB;
  return bits ^ (bits >> 31);
}

}  // namespace

StreamKey StreamKey::with(uint64_t number) const { return StreamKey(mix(mix(value_ ^ kNumberDomain) + number)); }

StreamKey StreamKey::with(std::string_view name) const {
  uint64_t value = mix(value_ ^ kNameDomain);
  for (const char letter : name) value = mix(value + kGolden + static_cast<unsigned char>(letter));
  return StreamKey(mix(value ^ name.size()));
}

std::array<uint32_t, 4> philox(StreamKey key, uint64_t counter) { return philox_words(key.value(), counter); }

uint64_t random_bits(StreamKey key, uint64_t index) {
  const auto words = philox(key, index);
  return joined(words[0], words[1]);
}

double random_uniform(StreamKey key, uint64_t index) { return philox_uniform(key.value(), index); }

double random_normal(StreamKey key, uint64_t index) {
  const auto words = philox(key, index);
  const double radius = std::sqrt(-2.0 * std::log(open_unit(joined(words[0], words[1]))));
  return radius * std::cos(2.0 * std::numbers::pi * open_unit(joined(words[2], words[3])));
}

uint64_t random_below(StreamKey key, uint64_t index, uint64_t bound) {
  // The upper half of the product; its bias is at most bound / 2^64.
  return static_cast<uint64_t>(static_cast<unsigned __int128>(random_bits(key, index)) * bound >> 64);
}

Permutation::Permutation(int64_t size, StreamKey key) : size_(size), key_(key), half_bits_(0) {
  if (size < 1) throw std::logic_error("a permutation of " + std::to_string(size) + " elements");
  while (half_bits_ < 31 && int64_t{1} << (2 * half_bits_) < size) ++half_bits_;
  if (int64_t{1} << (2 * half_bits_) < size) throw std::logic_error("a permutation of more than 2^62 elements");
}

int64_t Permutation::operator()(int64_t index) const {
  if (index < 0 || index >= size_) {
    throw std::logic_error("element " + std::to_string(index) + " of a permutation of " + std::to_string(size_));
  }
  constexpr uint64_t kRounds = 8;  // 4 make a strong permutation of a large domain; small ones need more to mix
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  auto value = static_cast<uint64_t>(index);
  do {
    uint64_t left = value >> half_bits_, right = value & mask;
    for (uint64_t round = 0; round < kRounds; ++round) {
      const uint64_t next = left ^ (mix(mix(key_.value() + kGolden * (round + 1)) + right) & mask);
      left = right;
      right = next;
    }
    value = left << half_bits_ | right;
  } while (value >= static_cast<uint64_t>(size_));  // the walk ends, because its cycle holds the index it began with
  return static_cast<int64_t>(value);
}

}  // namespace acm

#pragma once

#include <array>
#include <cstdint>

namespace acm {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

// Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC11); constants and rounds are
// theirs.
constexpr PhiloxCounter philox4x32_10(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t first = uint64_t{0xD2511F53} * counter[0];
    const uint64_t second = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(second >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(second),
               static_cast<uint32_t>(first >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(first)};
    key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
  }
  return counter;
}

// Number `index` of the stream of a key: 64 bits, and a double in the open interval (0, 1). (k + 1/2) / 2^52: with one
// bit more the largest would round to 1.
constexpr uint64_t joined(uint32_t high, uint32_t low) { return uint64_t{high} << 32 | low; }
constexpr double open_unit(uint64_t bits) { return (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52; }
constexpr PhiloxCounter philox_words(uint64_t key, uint64_t index) {
  return philox4x32_10({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), 0, 0},
                       {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)});
}
constexpr double philox_uniform(uint64_t key, uint64_t index) {
  const PhiloxCounter words = philox_words(key, index);
  return open_unit(joined(words[0], words[1]));
}

}  // namespace acm

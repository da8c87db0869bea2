#include "core/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>

#include "core/philox.h"

namespace acm {
namespace {

// The known answers that the authors publish with their library Random123 (kat_vectors, "philox4x32 10").
TEST(Philox, GivesThePublishedAnswers) {
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}), (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32_10({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, TakesKeyAndCounterLowWordFirst) {
  EXPECT_EQ(philox(StreamKey(0x0000000200000001), 0x0000000400000003), philox4x32_10({3, 4, 0, 0}, {1, 2}));
}

// Frozen values of this program: where one changes, no checkpoint resumes to the same numbers.
TEST(Random, StaysTheSameForever) {
  const StreamKey key = StreamKey(1).with("distill").with(7);
  EXPECT_EQ(StreamKey(1).with("distill").value(), 678905750141192518u);
  EXPECT_EQ(key.value(), 4486946124606264955u);
  EXPECT_EQ(random_bits(key, 3), 5969563478099386342u);
  EXPECT_EQ(random_below(key, 3, 1000), 323u);
  EXPECT_EQ(random_uniform(key, 3), ((5969563478099386342u >> 12) + 0.5) * 0x1p-52);
  EXPECT_NEAR(random_normal(key, 3), 1.4620442244102181, 1e-14);
  const Permutation permutation(10, key);
  EXPECT_EQ((std::vector<int64_t>{permutation(0), permutation(1), permutation(2)}), (std::vector<int64_t>{6, 3, 0}));
}

TEST(StreamKey, EveryDerivationIsAnotherKey) {
  std::set<uint64_t> seen;
  int derived = 0;
  const auto see = [&](StreamKey key) { seen.insert(key.value()), ++derived; };
  for (uint64_t seed : {0, 1, 2}) {
    const StreamKey root(seed);
    see(root);
    see(root.with(""));
    see(root.with("ab"));
    see(root.with("ba"));
    see(root.with("a").with("b"));
    see(root.with("b").with("a"));
    see(root.with(std::string(1, '\0')));
    for (uint64_t number = 0; number < 1000; ++number) see(root.with(number)), see(root.with(number).with(number + 1));
    for (uint64_t number = 0; number < 1000; ++number)
      see(root.with("site").with(number)), see(root.with(number + 1).with(number));
  }
  EXPECT_EQ(static_cast<int>(seen.size()), derived);
  EXPECT_EQ(StreamKey(5).with("a").with(2), StreamKey(5).with("a").with(2));
}

TEST(RandomUniform, IsUniformInEveryDirection) {
  // Mean 1/2 and variance 1/12 along a stream, and across streams at one index; bounds are five standard errors.
  constexpr int kCount = 20000;
  const auto check = [](auto draw) {
    double sum = 0, squares = 0, lag = 0, previous = 0.5;
    for (int i = 0; i < kCount; ++i) {
      const double value = draw(i);
      ASSERT_GT(value, 0.0);
      ASSERT_LT(value, 1.0);
      sum += value, squares += (value - 0.5) * (value - 0.5), lag += (value - 0.5) * (previous - 0.5);
      previous = value;
    }
    EXPECT_NEAR(sum / kCount, 0.5, 5 * std::sqrt(1.0 / 12 / kCount));
    EXPECT_NEAR(squares / kCount, 1.0 / 12, 5 * std::sqrt(1.0 / 180 / kCount));
    EXPECT_NEAR(lag / kCount, 0.0, 5.0 / 12 / std::sqrt(kCount));
  };
  const StreamKey key(42);
  check([&](int i) { return random_uniform(key.with("a"), i); });
  check([&](int i) { return random_uniform(key.with(i), 0); });
  check([&](int i) { return random_uniform(StreamKey(i), 0); });
  check([&](int i) { return random_uniform(key.with(i / 100), i % 100); });
}

TEST(RandomUniform, StreamsOfOneKeyAreIndependent) {
  constexpr int kCount = 20000;
  double product = 0;
  for (int i = 0; i < kCount; ++i) {
    product += (random_uniform(StreamKey(1).with("a"), i) - 0.5) * (random_uniform(StreamKey(1).with("b"), i) - 0.5);
  }
  EXPECT_NEAR(product / kCount, 0.0, 5.0 / 12 / std::sqrt(kCount));
}

TEST(RandomNormal, HasTheMomentsOfANormal) {
  constexpr int kCount = 20000;
  double sum = 0, squares = 0, fourth = 0;
  for (int i = 0; i < kCount; ++i) {
    const double value = random_normal(StreamKey(3), i);
    sum += value, squares += value * value, fourth += value * value * value * value;
  }
  EXPECT_NEAR(sum / kCount, 0.0, 5 / std::sqrt(kCount));
  EXPECT_NEAR(squares / kCount, 1.0, 5 * std::sqrt(2.0 / kCount));
  EXPECT_NEAR(fourth / kCount, 3.0, 5 * std::sqrt(96.0 / kCount));
}

TEST(RandomBelow, ReachesEveryValueEqually) {
  constexpr int kCount = 14000;
  std::vector<int> counts(7);
  for (int i = 0; i < kCount; ++i) ++counts.at(random_below(StreamKey(9), i, 7));
  for (const int count : counts) EXPECT_NEAR(count, 2000, 5 * std::sqrt(2000.0));
  EXPECT_EQ(random_below(StreamKey(9), 0, 1), 0u);
}

TEST(Permutation, IsABijectionOfEverySize) {
  for (int64_t size = 1; size <= 300; ++size) {
    const Permutation permutation(size, StreamKey(size));
    std::vector<bool> seen(size);
    for (int64_t i = 0; i < size; ++i) seen.at(permutation(i)) = true;
    EXPECT_EQ(std::accumulate(seen.begin(), seen.end(), int64_t{0}), size);
  }
}

TEST(Permutation, IsABijectionOfALargeSize) {
  constexpr int64_t kSize = 1'000'003;
  const Permutation permutation(kSize, StreamKey(5));
  std::vector<bool> seen(kSize);
  int64_t fixed = 0;
  for (int64_t i = 0; i < kSize; ++i) seen.at(permutation(i)) = true, fixed += permutation(i) == i;
  EXPECT_EQ(std::accumulate(seen.begin(), seen.end(), int64_t{0}), kSize);
  EXPECT_LT(fixed, 20);  // 1 is expected
}

TEST(Permutation, MovesEveryElementEverywhere) {
  for (const int64_t size : {2, 3, 5, 13}) {
    const int draws = 2000 * static_cast<int>(size);
    std::vector<std::vector<int>> counts(size, std::vector<int>(size));
    for (int draw = 0; draw < draws; ++draw) {
      const Permutation permutation(size, StreamKey(draw));
      for (int64_t i = 0; i < size; ++i) ++counts[i][permutation(i)];
    }
    for (const auto& row : counts) {
      for (const int count : row) EXPECT_NEAR(count, 2000, 300) << size;
    }
  }
}

TEST(Permutation, RefusesWhatItDoesNotHold) {
  EXPECT_THROW(Permutation(0, StreamKey()), std::logic_error);
  EXPECT_THROW(Permutation(3, StreamKey())(3), std::logic_error);
  EXPECT_THROW(Permutation(3, StreamKey())(-1), std::logic_error);
  const Permutation huge(int64_t{1} << 61, StreamKey());
  EXPECT_LT(huge(12345), huge.size());
}

}  // namespace
}  // namespace acm

#include "data/parallel_for.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

namespace acm::data {
namespace {

TEST(ParallelFor, DoesEachIndexOnce) {
  std::vector<std::atomic<int>> done(1000);
  parallel_for(1000, [&](int64_t i) { ++done[static_cast<size_t>(i)]; });
  for (const auto& count : done) EXPECT_EQ(count, 1);
  parallel_for(0, [](int64_t) { FAIL(); });
}

TEST(ParallelFor, ThrowsTheErrorOfTheLowestIndex) {
  for (int round = 0; round < 20; ++round) {
    try {
      parallel_for(200, [](int64_t i) {
        if (i >= 50) throw std::runtime_error(std::to_string(i));
      });
      FAIL();
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "50");
    }
  }
}

}  // namespace
}  // namespace acm::data

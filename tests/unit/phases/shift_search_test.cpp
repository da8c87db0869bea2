#include "phases/shift_search.h"

#include <gtest/gtest.h>

#include <cmath>

namespace acm::phases {
namespace {

// A smooth share from 0.1 to 1, as many tokens with scattered logits would give.
double smooth(double shift) { return 0.1 + 0.9 / (1 + std::exp(-1.7 * (shift - 0.8))); }

class Counted {
 public:
  explicit Counted(std::function<double(double)> share) : share_(std::move(share)) {}
  ShiftSearch search(double tolerance) {
    return ShiftSearch(
        [this](double shift) {
          ++calls;
          return share_(shift);
        },
        tolerance);
  }
  int calls = 0;

 private:
  std::function<double(double)> share_;
};

TEST(ShiftSearch, MeetsEachWantedShareInAFewMeasurements) {
  Counted counted(smooth);
  auto search = counted.search(5e-4);
  for (const double wanted : {0.2, 0.35, 0.5, 0.75, 0.99}) {
    const int before = counted.calls;
    const auto found = search.find(wanted);
    EXPECT_NEAR(found.share, wanted, 5e-4);
    EXPECT_EQ(found.share, smooth(found.shift));
    EXPECT_LE(counted.calls - before, 12) << wanted;
  }
  const int before = counted.calls;
  search.find(0.5);
  EXPECT_EQ(counted.calls, before) << "what was seen is not measured again";
}

TEST(ShiftSearch, StopsAtOnceWhereTheGatesSpendItAlready) {
  Counted counted(smooth);
  EXPECT_EQ(counted.search(5e-4).find(smooth(0)).shift, 0);
  EXPECT_EQ(counted.calls, 1);
}

TEST(ShiftSearch, ReachesTheEnds) {
  Counted counted([](double shift) { return std::min(1.0, std::max(0.125, smooth(shift) * 1.1 - 0.05)); });
  auto search = counted.search(5e-4);
  EXPECT_EQ(search.find(1).share, 1);
  EXPECT_NEAR(search.find(0.125).share, 0.125, 5e-4);
  EXPECT_NEAR(search.find(0.05).share, 0.125, 1e-9);  // the least there is
}

TEST(ShiftSearch, GivesTheNearestWhereSharesJumpOverTheWantedOne) {
  Counted counted([](double shift) { return shift < 0.3 ? 0.25 : 0.6; });
  const auto found = counted.search(5e-4).find(0.5);
  EXPECT_EQ(found.share, 0.6);
  EXPECT_LT(counted.calls, 40);
}

// What one site chooses changes the tokens of those after it, so the share may fall a little where the shift grows.
TEST(ShiftSearch, BearsSharesThatFallALittle) {
  Counted counted([](double shift) { return smooth(shift) + 0.004 * std::sin(40 * shift); });
  auto search = counted.search(5e-4);
  for (const double wanted : {0.3, 0.5, 0.7}) EXPECT_NEAR(search.find(wanted).share, wanted, 5e-4);
}

}  // namespace
}  // namespace acm::phases

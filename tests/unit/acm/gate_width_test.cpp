#include "acm/gate_width.h"

#include <gtest/gtest.h>

namespace acm {
namespace {

// The sites of 12 blocks at N = 4, and the dense cost and tokens of golden/cost/tables.json.
std::vector<AcmShape> vit_sites(int64_t width) {
  std::vector<AcmShape> sites;
  for (int block = 0; block < 12; ++block) {
    sites.push_back({.width = width, .learners = 4, .learner_width = width, .min_k = 0});
    for (int i = 0; i < 4; ++i)
      sites.push_back({.width = width, .learners = 4, .learner_width = width / 8, .min_k = 1});
  }
  return sites;
}

int64_t width_of(int64_t width, int64_t dense_macs, int64_t depth = 2) {
  return automatic_gate_width(vit_sites(width), {.hidden = 0, .depth = depth}, 197, dense_macs);
}

// Counted again by a loop in Python; the first two stand in method.md 10.7.
TEST(GateWidth, CostsAtMostOnePercentOfTheDenseModel) {
  EXPECT_EQ(width_of(192, 1253683200), 5);
  EXPECT_EQ(width_of(768, 17563828224), 19);
  EXPECT_EQ(width_of(384, 4598882304), 10);
  EXPECT_EQ(width_of(768, 17563828224, 3), 18);
}

TEST(GateWidth, IsAtLeastFour) { EXPECT_EQ(width_of(192, 1000), 4); }

TEST(GateWidth, GrowsWhereFewSitesHaveGates) {
  const std::vector<AcmShape> one = {{.width = 192, .learners = 4, .learner_width = 192, .min_k = 0}};
  EXPECT_EQ(automatic_gate_width(one, {.hidden = 0}, 197, 197 * 197 * 100 * 7), 7);      // exactly 1 %
  EXPECT_EQ(automatic_gate_width(one, {.hidden = 0}, 197, 197 * 197 * 100 * 7 - 1), 6);  // one too few
}

}  // namespace
}  // namespace acm

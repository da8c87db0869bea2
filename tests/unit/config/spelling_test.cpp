#include "config/spelling.h"

#include <gtest/gtest.h>

#include <vector>

namespace acm::config {
namespace {

const std::vector<std::string> kKnown = {"seed", "distill.steps", "gating.steps", "gating.tau"};

TEST(UnknownText, NamesTheNearest) {
  EXPECT_EQ(unknown_text("gatin.step", "key", kKnown), " is not a known key; did you mean 'gating.steps'?");
  EXPECT_EQ(unknown_text("distill.seed", "key", kKnown), " is not a known key; did you mean 'seed'?");
  EXPECT_EQ(unknown_text("distill.tau", "key", kKnown), " is not a known key; did you mean 'gating.tau'?");
}

TEST(UnknownText, NamesNothingWhereNothingIsNear) {
  EXPECT_EQ(unknown_text("completely", "section", kKnown),
            " is not a known section; --print-config lists the known ones");
  EXPECT_EQ(unknown_text("a", "key", std::vector<std::string>{}),
            " is not a known key; --print-config lists the known ones");
}

}  // namespace
}  // namespace acm::config

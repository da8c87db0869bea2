#include "nn/token_module.h"

#include <gtest/gtest.h>

#include "unit/core/expect_error.h"

namespace acm::nn {
namespace {

TEST(SiteKind, HasANameAndIsReadFromIt) {
  for (const char* name : {"ffn", "q", "k", "v", "o"}) EXPECT_EQ(to_string(site_kind_from(name)), name);
  EXPECT_EQ(site_kind_from("o"), SiteKind::kOutput);
  expect_error(Fault::kData, "'mlp'", [] { site_kind_from("mlp"); });
}

TEST(SiteKind, OnlyTheFeedForwardNetworkMayRunNothing) {
  EXPECT_EQ(min_learners(SiteKind::kFeedForward), 0);
  for (const char* name : {"q", "k", "v", "o"}) EXPECT_EQ(min_learners(site_kind_from(name)), 1);
}

}  // namespace
}  // namespace acm::nn

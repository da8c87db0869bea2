#include "phases/window_plan.h"

#include <gtest/gtest.h>

#include <numeric>

#include "unit/core/expect_error.h"

namespace acm::phases {
namespace {

using Segments = std::vector<int64_t>;

// Nine segments of ten rows and a short one, in groups of two: five groups of 20, 20, 20, 20 and 15 rows, 95 an epoch.
WindowPlan::Walk walk(int64_t training_rows, bool fresh_views = false) {
  return {{10, 10, 10, 10, 10, 10, 10, 10, 10, 5}, 2, fresh_views, training_rows};
}

TEST(WindowPlan, EverythingThatFitsIsOneWindow) {
  for (const int64_t groups : {0, 5, 6}) {
    const WindowPlan plan(walk(300), groups);
    EXPECT_TRUE(plan.is_whole());
    EXPECT_EQ(plan.windows(), 1);
    EXPECT_EQ(plan.row_end(0), 300);
    EXPECT_EQ(plan.window_of(299), 0);
    Segments all(10);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(plan.segments(0), all);
    EXPECT_EQ(plan.segments(0, 250), all);  // nothing is captured in parts
  }
}

TEST(WindowPlan, TwoWindowsFitAndRunOnThroughEpochs) {
  const WindowPlan plan(walk(200), 4);  // 200 rows: two epochs and ten rows of the third
  EXPECT_FALSE(plan.is_whole());
  EXPECT_EQ(plan.groups_per_window(), 2);
  // Visits 0 1 | 2 3 | 4 0 | 1 2 | 3 4 | 0
  ASSERT_EQ(plan.windows(), 6);
  EXPECT_EQ(plan.segments(0), (Segments{0, 1, 2, 3}));
  EXPECT_EQ(plan.segments(1), (Segments{4, 5, 6, 7}));
  EXPECT_EQ(plan.segments(2), (Segments{0, 1, 8, 9}));
  EXPECT_EQ(plan.segments(5), (Segments{0, 1}));
  const Segments ends = {40, 80, 115, 155, 190, 200};
  for (int64_t window = 0; window < 6; ++window) EXPECT_EQ(plan.row_end(window), ends[static_cast<size_t>(window)]);
  EXPECT_EQ(plan.window_of(0), 0);
  EXPECT_EQ(plan.window_of(39), 0);
  EXPECT_EQ(plan.window_of(40), 1);
  EXPECT_EQ(plan.window_of(115), 3);
  EXPECT_EQ(plan.window_of(199), 5);
  EXPECT_EQ(plan.window_of(200), 5);
}

TEST(WindowPlan, AResumptionCapturesFromItsGroupOn) {
  const WindowPlan plan(walk(200), 4);
  EXPECT_EQ(plan.segments(0, 5), (Segments{0, 1, 2, 3}));
  EXPECT_EQ(plan.segments(0, 35), (Segments{2, 3}));
  EXPECT_EQ(plan.segments(2, 95), (Segments{0, 1}));
  EXPECT_EQ(plan.segments(2, 94), (Segments{0, 1, 8, 9}));
}

TEST(WindowPlan, TheSmallestWindowIsAGroup) {
  for (const int64_t groups : {2, 3}) EXPECT_EQ(WindowPlan(walk(100), groups).groups_per_window(), 1);
  EXPECT_EQ(WindowPlan(walk(100), 2).windows(), 6);
  EXPECT_EQ(WindowPlan(walk(95), 2).windows(), 5);
  EXPECT_THROW(WindowPlan(walk(95), 1), c10::Error);
}

TEST(WindowPlan, FreshViewsHaveSegmentsOfTheirOwn) {
  const WindowPlan plan(walk(200, true), 4);
  EXPECT_EQ(plan.segments(2), (Segments{8, 9, 10, 11}));
  EXPECT_EQ(plan.segments(5), (Segments{20, 21}));
  // What fits must hold every epoch's.
  EXPECT_FALSE(WindowPlan(walk(200, true), 14).is_whole());
  const WindowPlan whole(walk(200, true), 15);
  EXPECT_TRUE(whole.is_whole());
  EXPECT_EQ(whole.segments(0).size(), 30u);
}

TEST(WindowPlan, APhaseWithoutStepsHasAWindow) {
  const WindowPlan plan(walk(0), 2);
  EXPECT_EQ(plan.windows(), 1);
  EXPECT_EQ(plan.row_end(0), 0);
  EXPECT_EQ(plan.segments(0), (Segments{0, 1}));
}

TEST(WindowPlan, RefusesACacheWithoutRows) {
  expect_error(Fault::kData, "holds no rows", [] { WindowPlan({{0, 0}, 2, false, 10}, 2); });
}

}  // namespace
}  // namespace acm::phases

#include "data/schedule.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "unit/core/expect_error.h"

namespace acm::data {
namespace {

TEST(Cut, SlicesAreTheWholeInOrderAndDifferByAtMostOne) {
  for (int64_t batch = 1; batch <= 20; ++batch) {
    for (int count = 1; count <= batch; ++count) {
      int64_t reached = 0;
      for (int index = 0; index < count; ++index) {
        const Range range = cut(batch, index, count);
        EXPECT_EQ(range.begin, reached);
        EXPECT_EQ(range.size(), batch / count + (index < batch % count ? 1 : 0));
        reached = range.end;
      }
      EXPECT_EQ(reached, batch);
    }
  }
}

TEST(Cut, FallsOnWholeUnits) {
  for (int64_t batch = 2; batch <= 20; batch += 2) {
    for (int count = 1; count <= batch / 2; ++count) {
      int64_t reached = 0;
      for (int index = 0; index < count; ++index) {
        const Range range = cut(batch, {0, index, count, 2}), pairs = cut(batch / 2, index, count);
        EXPECT_EQ(range.begin, reached);
        EXPECT_EQ(range.begin, 2 * pairs.begin);
        EXPECT_EQ(range.end, 2 * pairs.end);
        reached = range.end;
      }
      EXPECT_EQ(reached, batch);
    }
  }
  EXPECT_EQ(cut(7, 1, 2, 2).end, 7) << "the last unit may be cut short";
  expect_error(Fault::kUsage, "a batch of 6 samples into 4 slices: there are more slices than pairs of samples",
               [] { cut(6, 0, 4, 2); });
}

TEST(Cut, MoreSlicesThanSamplesIsAnErrorOfUse) {
  expect_error(Fault::kUsage, "a batch of 3 samples into 4 slices: there are more slices than samples",
               [] { cut(3, 0, 4); });
  EXPECT_THROW(cut(3, 3, 3), c10::Error);
  EXPECT_THROW(cut(3, -1, 3), c10::Error);
}

// The samples of steps [0, steps), in order, when `slices` cut each batch.
std::vector<int64_t> walk(const Schedule& schedule, int64_t steps, int slices) {
  std::vector<int64_t> indices;
  for (int64_t step = 0; step < steps; ++step) {
    for (int index = 0; index < slices; ++index) {
      for (const int64_t position : schedule.positions({step, index, slices}))
        indices.push_back(schedule.index_at(position));
    }
  }
  return indices;
}

TEST(Schedule, EveryEpochHoldsEachSampleOnceUnderAnySplit) {
  const int64_t samples = 21, batch = 6;  // epochs end within batches
  const Schedule schedule(samples, batch, StreamKey(3));
  const auto whole = walk(schedule, 7, 1);
  for (int slices = 2; slices <= batch; ++slices) EXPECT_EQ(walk(schedule, 7, slices), whole);
  std::set<std::vector<int64_t>> orders;
  for (int64_t epoch = 0; epoch < 2; ++epoch) {
    std::vector<int64_t> seen(whole.begin() + epoch * samples, whole.begin() + (epoch + 1) * samples);
    orders.insert(seen);
    std::sort(seen.begin(), seen.end());
    for (int64_t i = 0; i < samples; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i);
  }
  EXPECT_EQ(orders.size(), 2u) << "each epoch has an order of its own";
}

// A rank's slices: rank r of R with M micro-batches holds slices r * M .. r * M + M - 1 of R * M.
std::vector<std::vector<int64_t>> by_slice(const Schedule& schedule, int ranks, int micro_batches) {
  std::vector<std::vector<int64_t>> slices;
  for (int rank = 0; rank < ranks; ++rank) {
    for (int micro = 0; micro < micro_batches; ++micro) {
      slices.push_back(schedule.positions({5, rank * micro_batches + micro, ranks * micro_batches}));
    }
  }
  return slices;
}

TEST(Schedule, RanksAndMicroBatchesCutAlike) {
  const Schedule schedule(100, 10, StreamKey(3));
  const auto slices = by_slice(schedule, 4, 1);
  EXPECT_EQ(slices, by_slice(schedule, 2, 2));
  EXPECT_EQ(slices, by_slice(schedule, 1, 4));
  EXPECT_EQ(slices[0], (std::vector<int64_t>{50, 51, 52}));
  EXPECT_EQ(slices[3], (std::vector<int64_t>{58, 59}));
}

TEST(Schedule, KeysDifferAndUnshuffledIsInOrder) {
  EXPECT_NE(walk(Schedule(50, 10, StreamKey(1)), 5, 1), walk(Schedule(50, 10, StreamKey(2)), 5, 1));
  EXPECT_EQ(walk(Schedule(50, 10, StreamKey(1)), 5, 1), walk(Schedule(50, 10, StreamKey(1)), 5, 1));
  const Schedule plain(5, 2, StreamKey(1), false);
  EXPECT_EQ(walk(plain, 4, 1), (std::vector<int64_t>{0, 1, 2, 3, 4, 0, 1, 2}));
}

TEST(Schedule, StepsAreWholeBatchesOfTheEpochs) {
  EXPECT_EQ(Schedule::steps(1, 100, 32), 3);
  EXPECT_EQ(Schedule::steps(2, 100, 32), 6);
  EXPECT_EQ(Schedule::steps(0.5, 100, 32), 1);
  EXPECT_EQ(Schedule::steps(0.29, 100, 1), 29);  // 28.999999999999996
  EXPECT_EQ(Schedule::steps(3, 60000, 128), 1406);
  EXPECT_EQ(Schedule::steps(0, 100, 32), 0);
}

}  // namespace
}  // namespace acm::data

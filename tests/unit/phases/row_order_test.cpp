#include "phases/row_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "unit/core/expect_error.h"

namespace acm::phases {
namespace {

using GroupedRow = std::pair<int64_t, int64_t>;  // group, row inside it

// Five segments in groups of two: groups of 5, 5 and 4 rows.
const std::vector<int64_t> kSegments = {3, 2, 1, 4, 4};
const std::vector<int64_t> kGroups = {5, 5, 4};
constexpr int64_t kRows = 14;

std::vector<GroupedRow> flat(const std::vector<RowOrder::Part>& parts) {
  std::vector<GroupedRow> rows;
  for (const auto& part : parts)
    for (const int64_t row : part.rows) rows.emplace_back(part.group, row);
  return rows;
}

TEST(RowOrder, AnEpochHoldsEachRowOnceGroupAfterGroup) {
  const RowOrder order(kSegments, 2, StreamKey(1));
  EXPECT_EQ(order.rows(), kRows);
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    auto rows = flat(order.at(epoch * kRows, (epoch + 1) * kRows));
    EXPECT_TRUE(std::ranges::is_sorted(rows, {}, &GroupedRow::first));
    std::ranges::sort(rows);
    std::vector<GroupedRow> all;
    for (int64_t group = 0; group < 3; ++group)
      for (int64_t row = 0; row < kGroups[static_cast<size_t>(group)]; ++row) all.emplace_back(group, row);
    EXPECT_EQ(rows, all) << "epoch " << epoch;
  }
}

TEST(RowOrder, PartsEndWithGroupsAndEpochs) {
  const RowOrder order(kSegments, 2, StreamKey(1));
  const auto parts =
      order.at(3, kRows + 6);  // the rest of group 0, groups 1 and 2, then group 0 and one row of group 1
  ASSERT_EQ(parts.size(), 5u);
  const std::vector<std::pair<int64_t, size_t>> expected = {{0, 2}, {1, 5}, {2, 4}, {0, 5}, {1, 1}};
  for (size_t i = 0; i < parts.size(); ++i) {
    EXPECT_EQ(parts[i].group, expected[i].first);
    EXPECT_EQ(parts[i].rows.size(), expected[i].second);
  }
  EXPECT_TRUE(order.at(5, 5).empty());
}

TEST(RowOrder, IsTheSameForAnyCut) {
  const RowOrder order(kSegments, 2, StreamKey(1));
  const auto whole = flat(order.at(0, 3 * kRows));
  for (const int64_t step : {1, 2, 5, 9}) {
    std::vector<GroupedRow> pieces;
    for (int64_t begin = 0; begin < 3 * kRows; begin += step) {
      const auto piece = flat(order.at(begin, std::min(begin + step, 3 * kRows)));
      pieces.insert(pieces.end(), piece.begin(), piece.end());
    }
    EXPECT_EQ(pieces, whole) << "cut into " << step;
  }
}

TEST(RowOrder, EpochsAndKeysShuffleAnew) {
  const RowOrder order({40}, 1, StreamKey(1)), other({40}, 1, StreamKey(2));
  EXPECT_NE(flat(order.at(0, 40)), flat(order.at(40, 80)));
  EXPECT_NE(flat(order.at(0, 40)), flat(other.at(0, 40)));
  std::vector<int64_t> sorted(40);
  std::iota(sorted.begin(), sorted.end(), 0);
  EXPECT_NE(order.at(0, 40)[0].rows, sorted);
}

TEST(RowOrder, RefusesACacheWithoutRows) {
  expect_error(Fault::kData, "raise cache.samples", [] { RowOrder({}, 2, StreamKey(1)); });
  expect_error(Fault::kData, "holds no rows", [] { RowOrder({0, 0}, 2, StreamKey(1)); });
}

}  // namespace
}  // namespace acm::phases

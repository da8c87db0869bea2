#include "phases/row_order.h"

#include <algorithm>

#include "core/error.h"

namespace acm::phases {

data::Range segments_of_group(int64_t group, int64_t shuffle_segments, int64_t segments) {
  return {group * shuffle_segments, std::min((group + 1) * shuffle_segments, segments)};
}

std::vector<int64_t> group_ends(const std::vector<int64_t>& rows_per_segment, int64_t shuffle_segments) {
  std::vector<int64_t> ends;
  int64_t rows = 0;
  for (size_t segment = 0; segment < rows_per_segment.size(); ++segment) {
    rows += rows_per_segment[segment];
    const bool last_of_group =
        (static_cast<int64_t>(segment) + 1) % shuffle_segments == 0 || segment + 1 == rows_per_segment.size();
    if (last_of_group) ends.push_back(rows);
  }
  if (rows == 0) throw Error(Fault::kData, "the activation cache holds no rows: raise cache.samples");
  return ends;
}

RowOrder::RowOrder(const std::vector<int64_t>& rows_per_segment, int64_t shuffle_segments, StreamKey key)
    : ends_(group_ends(rows_per_segment, shuffle_segments)), key_(key) {}

int64_t RowOrder::group_end(int64_t position) const {
  return position / rows() * rows() + *std::ranges::upper_bound(ends_, position % rows());
}

std::vector<RowOrder::Part> RowOrder::at(int64_t begin, int64_t end) const {
  std::vector<Part> parts;
  while (begin < end) {
    const int64_t epoch = begin / rows(), place = begin % rows();
    const auto group = std::ranges::upper_bound(ends_, place) - ends_.begin();
    const int64_t first = group == 0 ? 0 : ends_[static_cast<size_t>(group - 1)],
                  last = ends_[static_cast<size_t>(group)];
    const Permutation order(last - first, key_.with(static_cast<uint64_t>(epoch)).with(static_cast<uint64_t>(group)));
    const int64_t count = std::min(end - begin, last - place);
    Part part{group, {}, epoch};
    part.rows.reserve(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) part.rows.push_back(order(place - first + i));
    parts.push_back(std::move(part));
    begin += count;
  }
  return parts;
}

}  // namespace acm::phases

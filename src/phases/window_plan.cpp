#include "phases/window_plan.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <set>

#include "core/quotient.h"
#include "phases/row_order.h"

namespace acm::phases {

WindowPlan::WindowPlan(const Walk& walk, int64_t groups_on_disk)
    : ends_(group_ends(walk.rows_per_segment, walk.shuffle_segments)),
      segments_(static_cast<int64_t>(walk.rows_per_segment.size())),
      shuffle_segments_(walk.shuffle_segments),
      fresh_views_(walk.fresh_views),
      training_rows_(walk.training_rows) {
  TORCH_CHECK(groups_on_disk == 0 || groups_on_disk >= 2, "two groups must fit on the disk");
  const int64_t last = std::max<int64_t>(training_rows_ - 1, 0);
  visits_ = visit_of(last) + 1;
  const int64_t epochs = last / ends_.back() + 1;
  whole_ = groups_on_disk == 0 || groups_on_disk >= groups() * (fresh_views_ ? epochs : 1);
  visits_per_window_ = whole_ ? visits_ : groups_on_disk / 2;
}

int64_t WindowPlan::windows() const { return quotient_up(visits_, visits_per_window_); }

int64_t WindowPlan::visit_of(int64_t row) const {
  const auto group = std::ranges::upper_bound(ends_, row % ends_.back()) - ends_.begin();
  return row / ends_.back() * groups() + group;
}

int64_t WindowPlan::end_of(int64_t visit) const {
  return visit / groups() * ends_.back() + ends_[static_cast<size_t>(visit % groups())];
}

int64_t WindowPlan::window_of(int64_t row) const { return std::min(visit_of(row) / visits_per_window_, windows() - 1); }

int64_t WindowPlan::row_end(int64_t window) const {
  return window + 1 >= windows() ? training_rows_ : end_of((window + 1) * visits_per_window_ - 1);
}

std::vector<int64_t> WindowPlan::segments(int64_t window, int64_t from_row) const {
  // What is captured at once is captured to the end of an epoch, for the next phase to walk further.
  const int64_t begin = whole_ ? 0 : std::max(window * visits_per_window_, visit_of(from_row)),
                end = whole_ ? quotient_up(visits_, groups()) * groups()
                             : std::min((window + 1) * visits_per_window_, visits_);
  std::set<int64_t> numbers;
  for (int64_t visit = begin; visit < end; ++visit) {
    const int64_t first = fresh_views_ ? visit / groups() * segments_ : 0;
    const auto of_group = segments_of_group(visit % groups(), shuffle_segments_, segments_);
    for (int64_t i = of_group.begin; i < of_group.end; ++i) numbers.insert(first + i);
  }
  return {numbers.begin(), numbers.end()};
}

}  // namespace acm::phases

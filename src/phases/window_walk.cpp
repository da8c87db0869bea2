#include "phases/window_walk.h"

#include <algorithm>

#include "core/file.h"

namespace acm::phases {

void WindowWalk::announce() const {
  if (!run_.is_root()) return;
  const auto folder = cache_folder(run_);
  run_.log.info(describe_cache(capture_.need(), plan_, folder, free_bytes(folder)));
}

std::vector<int64_t> WindowWalk::segments(int64_t window) const {
  return window < plan_.windows() ? plan_.segments(window) : std::vector<int64_t>{};
}

void WindowWalk::remove_all_but(int64_t window) {
  if (plan_.is_whole()) return;
  comm::together(run_.groups.control, [&] {
    if (!run_.is_root()) return;
    const auto now = segments(window), next = segments(window + 1);
    std::vector<int64_t> both;
    std::ranges::set_union(now, next, std::back_inserter(both));
    capture_.cache().remove_all_but(both);
  });
}

bool WindowWalk::enter(int64_t window, int64_t row) {
  remove_all_but(window);
  const auto next = segments(window + 1);
  const auto to_come = std::ranges::count_if(
      next, [&](int64_t segment) { return !std::filesystem::exists(capture_.cache().path_of(segment)); });
  return capture_.fill(plan_.segments(window, row), to_come);
}

train::Outcome WindowWalk::from(int64_t row, const Train& train) {
  int64_t window = plan_.window_of(row);
  if (!enter(window, row)) return train::Outcome::kStopped;
  for (;; ++window) {
    const bool go_on = train(window) == train::Outcome::kFinished && capture_.fill_share(segments(window + 1));
    // The only meeting of a window: everyone's part is done, or someone was asked to stop.
    if (comm::all_reduce_number(run_.groups.control, int64_t{go_on}, comm::ReduceOp::kMin) == 0)
      return train::Outcome::kStopped;
    if (window + 1 == plan_.windows()) return train::Outcome::kFinished;
    remove_all_but(window + 1);
  }
}

}  // namespace acm::phases

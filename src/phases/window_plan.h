#pragma once

#include <cstdint>
#include <vector>

namespace acm::phases {

// How the walk over the cache is cut where the cache outgrows the disk. Training visits group after group, epoch after
// epoch; a window is a number of successive visits of which two fit on the disk, the one that is trained on and the one
// that is captured meanwhile. The order of rows knows nothing of windows, so no result depends on them.
class WindowPlan {
 public:
  struct Walk {
    std::vector<int64_t> rows_per_segment;  // of an epoch
    int64_t shuffle_segments = 1;
    bool fresh_views = false;   // each epoch has segments of its own, whose numbers run on
    int64_t training_rows = 0;  // positions of the phase: steps x batch
  };
  // `groups_on_disk`: at least 2, or 0 where all fit, whatever their number.
  WindowPlan(const Walk& walk, int64_t groups_on_disk);

  bool is_whole() const { return whole_; }  // everything is captured at once, and nothing is removed
  int64_t windows() const;
  int64_t groups_per_window() const { return visits_per_window_; }
  // The window that holds a position of training; the last for positions behind the end.
  int64_t window_of(int64_t row) const;
  // Positions of training up to a window's end.
  int64_t row_end(int64_t window) const;
  // Segments of a window, ascending; with `from_row`, only those of the groups from that position's on.
  std::vector<int64_t> segments(int64_t window, int64_t from_row = 0) const;

 private:
  int64_t groups() const { return static_cast<int64_t>(ends_.size()); }  // of an epoch
  int64_t visit_of(int64_t row) const;
  int64_t end_of(int64_t visit) const;

  std::vector<int64_t> ends_;  // by group of an epoch: rows up to its end
  int64_t segments_, shuffle_segments_;
  bool fresh_views_, whole_;
  int64_t training_rows_, visits_, visits_per_window_;
};

}  // namespace acm::phases

#pragma once

#include <functional>
#include <map>

namespace acm::phases {

// A shift of the gates (acm/gate_shift.h) and the share of the learners' cost that it was seen to spend.
struct ShiftedShare {
  double shift = 0, share = 0;
};

// Finds the shifts at which gates spend wanted shares, by bisection between the nearest shares seen so far, so that a
// second wanted share starts from what the first has shown. The share grows with the shift, but for what the choices
// of a site change in those after it.
class ShiftSearch {
 public:
  // `measure` gives the share at a shift; it may be expensive. A share within `tolerance` of a wanted one ends a
  // search.
  ShiftSearch(std::function<double(double shift)> measure, double tolerance)
      : measure_(std::move(measure)), tolerance_(tolerance) {}

  // What was seen nearest to `wanted`: within the tolerance, unless no shift gets there.
  ShiftedShare find(double wanted);

 private:
  using Seen = std::map<double, double>;  // shift -> share
  double share_at(double shift);
  bool bracket(double wanted);  // measures outwards until shares on both sides of `wanted` are seen; false: never
  Seen::const_iterator above(double wanted) const;  // the first shift that spends at least so much
  ShiftedShare nearest(double wanted) const;
  bool is_met(double wanted) const;

  std::function<double(double shift)> measure_;
  double tolerance_;
  Seen seen_;
};

}  // namespace acm::phases

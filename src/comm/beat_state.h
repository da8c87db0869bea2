#pragma once

#include <string>
#include <string_view>

#include "comm/call.h"

namespace acm::comm {

// What a rank tells the others through its beat file.
struct BeatState {
  int64_t counter = 0;  // grows with each beat: a reader judges age by whether it moves
  std::string run;      // the same on all ranks of one start and new for each start
  std::string host;
  int64_t pid = 0;
  std::string job;  // of the batch system; empty without one
  std::string phase;
  std::string site;  // phase 1: the site in training
  int64_t step = 0;
  int64_t saving = 0;      // the step whose checkpoint this rank is writing; 0: none
  int64_t sites_done = 0;  // phase 1: of this rank's own
  Call call;
  bool stop_asked = false;
  bool has_left = false;  // the run is over for this rank: no further beat will come
};

std::string to_text(const BeatState& state);
// Error(kData) where `text`, which came from `source`, is no beat.
BeatState beat_from(std::string_view text, const std::string& source);

}  // namespace acm::comm

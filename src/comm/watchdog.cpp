#include "comm/watchdog.h"

#include <algorithm>
#include <cstdio>

namespace acm::comm {
namespace {

// A rank that has not begun to beat may still be reading its files.
constexpr double kPatienceAtStart = 6;
// Steps differ: one that loads a new shard takes longer than its neighbours.
constexpr double kSlowestSteps = 5;

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f s", seconds);
  return text;
}

std::string rank_text(int rank, const std::optional<BeatState>& state) {
  std::string text = "rank " + std::to_string(rank);
  if (state) text += " (process " + std::to_string(state->pid) + " on " + state->host + ")";
  return text;
}

std::string place_text(const BeatState& state) {
  std::string text = "step " + std::to_string(state.step + 1) + " of " + state.phase;
  if (!state.site.empty()) text += ", site " + state.site;
  return text;
}

bool has_come_to(const Call& theirs, const Call& mine) {
  return theirs.group == mine.group && theirs.number >= mine.number;
}

}  // namespace

Watchdog::Watchdog(int rank, int size, WatchdogLimits limits)
    : rank_(rank), limits_(limits), seen_(static_cast<size_t>(size)) {}

std::optional<std::string> Watchdog::look(const std::vector<std::optional<BeatState>>& states, double elapsed,
                                          double period, std::optional<double> slowest_step) {
  const double awake = std::min(elapsed, 2 * period);
  const BeatState& own = *states[static_cast<size_t>(rank_)];
  note_waiting(own.call, awake);
  if (!own.call.failure.empty())
    return own.call.failure + "; " + own_text(own) +
           "; the other ranks' logs may say more, and the same command goes on from the last checkpoint";
  if (auto lost = silent_rank(states, awake)) return lost;
  if (auto stuck = stuck_rank(states, awake)) return stuck;
  return slowest_step ? late_rank(states, *slowest_step) : std::nullopt;
}

// What lies between two looks counts only where the same collective was waited for at both.
void Watchdog::note_waiting(const Call& own, double awake) {
  const bool goes_on =
      !own.is_over && !waited_for_.is_over && own.group == waited_for_.group && own.number == waited_for_.number;
  waited_ = goes_on ? waited_ + awake : 0;
  waited_for_ = own;
}

// What this rank was doing: part of every sentence.
std::string Watchdog::own_text(const BeatState& own) const {
  if (own.call.is_over) return "this rank was at " + place_text(own);
  return "this rank has waited " + seconds_text(waited_) + " in " + call_text(own.call) + " at " + place_text(own);
}

std::optional<std::string> Watchdog::silent_rank(const std::vector<std::optional<BeatState>>& states, double awake) {
  std::optional<std::string> lost;
  for (int other = 0; other < static_cast<int>(states.size()); ++other) {
    const auto& state = states[static_cast<size_t>(other)];
    Seen& seen = seen_[static_cast<size_t>(other)];
    if (other == rank_ || (state && state->has_left)) continue;
    if (state && state->counter != seen.counter) {
      seen.counter = state->counter;
      seen.silent = 0;
      continue;
    }
    seen.silent += awake;
    if (lost || seen.silent <= limits_.silent_seconds * (state ? 1 : kPatienceAtStart)) continue;
    lost = rank_text(other, state) + " is lost: it has given no sign of life for " + seconds_text(seen.silent) + "; " +
           own_text(*states[static_cast<size_t>(rank_)]) +
           "; see whether its host lives and its log, and start the same command again";
  }
  return lost;
}

// A write that never returns holds up only the thread that writes: the rank itself goes on, until the next save.
std::optional<std::string> Watchdog::stuck_rank(const std::vector<std::optional<BeatState>>& states, double awake) {
  std::optional<std::string> stuck;
  for (int rank = 0; rank < static_cast<int>(states.size()); ++rank) {
    const auto& state = states[static_cast<size_t>(rank)];
    Seen& seen = seen_[static_cast<size_t>(rank)];
    const int64_t saving = state ? state->saving : 0;
    seen.writing = saving != 0 && saving == seen.saving ? seen.writing + awake : 0;
    seen.saving = saving;
    if (stuck || seen.writing <= limits_.save_seconds) continue;
    stuck = rank_text(rank, state) + " has been writing its part of the checkpoint of step " + std::to_string(saving) +
            " of " + state->phase + " for " + seconds_text(seen.writing) +
            ": its disk does not answer, or is slower than safety.save_seconds allows; see to the disk and start the "
            "same command again";
  }
  return stuck;
}

std::optional<std::string> Watchdog::late_rank(const std::vector<std::optional<BeatState>>& states,
                                               double slowest_step) const {
  const BeatState& own = *states[static_cast<size_t>(rank_)];
  if (own.call.is_over || waited_ <= std::max(limits_.late_seconds, kSlowestSteps * slowest_step)) return std::nullopt;
  for (int other = 0; other < static_cast<int>(states.size()); ++other) {
    const auto& state = states[static_cast<size_t>(other)];
    if (other == rank_ || !state || state->phase != own.phase || state->site != own.site) continue;
    if (has_come_to(state->call, own.call)) continue;
    return rank_text(other, state) + " is late: it lives, but was last seen in " + call_text(state->call) + " at " +
           place_text(*state) + "; " + own_text(own) + "; start the same command again";
  }
  return "no rank is late, and yet " + own_text(own) + ": the network between the ranks does not deliver";
}

}  // namespace acm::comm

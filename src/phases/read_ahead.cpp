#include "phases/read_ahead.h"

#include <algorithm>

namespace acm::phases {

void ReadAhead::begin(std::vector<Place> places) {
  thread_ = {};  // ends what is under way
  done_.clear();
  finished_ = 0;
  places_ = std::move(places);
  thread_ = std::jthread([this](const std::stop_token& stop) { read(stop, places_); });
}

void ReadAhead::read(const std::stop_token& stop, const std::vector<Place>& places) {
  for (const auto& place : places) {
    at::Tensor values;
    try {
      if (!stop.stop_requested())
        values = place.side == CacheReader::Side::kInput ? cache_.read_input(place.segment, place.site)
                                                         : cache_.read_output(place.segment, place.site);
    } catch (const Error&) {  // met again by whoever asks
    }
    const std::lock_guard lock(mutex_);
    done_[place] = values;
    ++finished_;
    arrived_.notify_all();
  }
}

at::Tensor ReadAhead::take(const Place& place) {
  std::unique_lock lock(mutex_);
  const auto at = std::ranges::find(places_, place) - places_.begin();
  if (at == static_cast<std::ptrdiff_t>(places_.size())) return {};
  arrived_.wait(lock, [&] { return finished_ > static_cast<size_t>(at); });
  return std::exchange(done_[place], at::Tensor());
}

}  // namespace acm::phases

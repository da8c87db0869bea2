#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "phases/cache_reader.h"

namespace acm::phases {

// Reads datasets of the cache on a thread of its own before they are asked for. What cannot be read there is left to
// whoever asks, who can tell and mend it.
class ReadAhead {
 public:
  explicit ReadAhead(const io::ActivationCache& cache) : cache_(cache.for_another_thread()) {}

  struct Place {
    int64_t segment;
    std::string site;
    CacheReader::Side side;
    auto operator<=>(const Place&) const = default;
  };
  // In the order in which they will be asked for. What was begun before and not taken is forgotten.
  void begin(std::vector<Place> places);
  // Waits until the thread has come there. Undefined where it was not begun, or could not be read.
  at::Tensor take(const Place& place);

 private:
  void read(const std::stop_token& stop, const std::vector<Place>& places);

  io::ActivationCache cache_;  // the thread's
  std::mutex mutex_;           // guards done_ and finished_
  std::condition_variable arrived_;
  std::map<Place, at::Tensor> done_;
  size_t finished_ = 0;  // of places_, read or not
  std::vector<Place> places_;
  std::jthread thread_;
};

}  // namespace acm::phases

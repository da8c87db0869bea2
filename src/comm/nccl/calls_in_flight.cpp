#include "comm/nccl/calls_in_flight.h"

#include <algorithm>
#include <utility>

namespace acm::comm {

std::shared_ptr<Flight> CallsInFlight::begin(Call call, std::vector<at::Tensor> tensors) {
  call.begun = std::chrono::steady_clock::now();
  call.is_over = false;
  auto flight = std::make_shared<Flight>(std::move(call), std::move(tensors), nullptr);
  const auto over = take_those_over();  // dies, with its tensors, outside the lock
  const std::lock_guard lock(mutex_);
  newest_ = flight->call;
  newest_.is_over = true;  // read only once it is
  flights_.push_back(flight);
  return flight;
}

void CallsInFlight::launched(Flight& flight, std::unique_ptr<DeviceEvent> end) {
  const std::lock_guard lock(mutex_);
  flight.end = std::move(end);
}

Call CallsInFlight::current() {
  const auto over = take_those_over();
  const std::lock_guard lock(mutex_);
  return flights_.empty() ? newest_ : flights_.front()->call;
}

std::vector<std::shared_ptr<Flight>> CallsInFlight::take_those_over() {
  const std::lock_guard lock(mutex_);
  const auto first_over = std::stable_partition(
      flights_.begin(), flights_.end(), [](const auto& flight) { return !flight->end || !flight->end->is_over(); });
  std::vector<std::shared_ptr<Flight>> over(std::make_move_iterator(first_over),
                                            std::make_move_iterator(flights_.end()));
  flights_.erase(first_over, flights_.end());
  return over;
}

}  // namespace acm::comm

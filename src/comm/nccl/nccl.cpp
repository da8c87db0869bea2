#include "comm/nccl/nccl.h"

#include <chrono>
#include <future>
#include <thread>
#include <utility>

#include "comm/current_error.h"
#include "comm/nccl/nccl_communicator.h"

namespace acm::comm {
namespace {

constexpr auto kAbortPatience = std::chrono::seconds(2);

}  // namespace

Nccl::Nccl(const nccl::Functions& functions, NcclOptions options)
    : common_(new NcclCommon{.functions = functions,
                             .join_seconds = options.join_seconds,
                             .make_stream = std::move(options.make_stream),
                             .calls = {},
                             .mutex = {},
                             .links = {}}) {}

Nccl::~Nccl() { abort(); }

std::unique_ptr<Communicator> Nccl::connect(Communicator& control, c10::Device device, std::string name) {
  return make_nccl_communicator(*common_, control, device, std::move(name));
}

Call Nccl::current_call(const Call& other) const {
  Call call = other;
  try {
    Call mine = common_->calls.current();
    if (!mine.is_over || mine.begun > other.begun) call = std::move(mine);
    for (const auto& link : common_->all_links()) {
      if (const auto why = link->failure()) call.failure = failed_call_text(call, *why);
    }
  } catch (...) {  // of the device; whoever watches over the run is told of it as of any failure
    call.failure = current_error().what();
  }
  return call;
}

void Nccl::abort() noexcept {
  // On a thread of its own: NCCL may itself wait for a device, or another thread may stand in it.
  try {
    std::promise<void> over;
    const auto ended = over.get_future();
    std::thread([common = common_, over = std::move(over)]() mutable {
      for (const auto& link : common->all_links()) link->abort();
      over.set_value();
    }).detach();
    ended.wait_for(kAbortPatience);
  } catch (const std::system_error&) {
    // No thread can be had: what is in flight ends with the process.
  }
}

}  // namespace acm::comm

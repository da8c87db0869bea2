#include "comm/nccl/nccl_link.h"

#include <cstdio>
#include <future>
#include <thread>
#include <utility>

#include "comm/nccl/nccl_library.h"
#include "core/error.h"
#include "core/stopwatch.h"

namespace acm::comm {
namespace {

using nccl::Result;

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", seconds);
  return text;
}

bool has_failed(Result code) { return code != Result::kSuccess && code != Result::kInProgress; }

}  // namespace

std::string failed_call_text(const Call& call, const std::string& why) {
  const std::chrono::duration<double> age = std::chrono::steady_clock::now() - call.begun;
  return call_text(call) + " failed " + seconds_text(age.count()) + " after it began: " + why;
}

NcclLink::NcclLink(const nccl::Functions& functions, std::string name, int rank, int size, const nccl::UniqueId& id,
                   double seconds)
    : functions_(functions), name_(std::move(name)) {
  nccl::Config config;
  const Stopwatch since;
  Result code = functions_.comm_init_rank_config(&comm_, size, id, rank, &config);
  while (code == Result::kInProgress && since.seconds() < seconds) {
    std::this_thread::yield();
    code = state();
  }
  if (code == Result::kSuccess) return;
  const std::string who = "rank " + std::to_string(rank) + " of " + std::to_string(size);
  const std::string why =
      has_failed(code)
          ? who + " cannot join it: " + failure_text(code)
          : who + " has waited " + seconds_text(seconds) +
                " for the others; see that every rank has got so far and that their hosts reach each other "
                "(NCCL_SOCKET_IFNAME names the network to use, NCCL_DEBUG=INFO tells more)";
  abort();
  throw Error(Fault::kResource, "NCCL's group " + name_ + " has not formed: " + why);
}

void NcclLink::launch(const Call& call, const std::function<Result(nccl::Comm*)>& start) {
  auto lock = enter();
  Result code = start(comm_);
  while (code == Result::kInProgress) {
    lock.unlock();
    std::this_thread::yield();
    lock = enter();
    code = state();
  }
  if (has_failed(code)) throw Error(Fault::kResource, failed_call_text(call, failure_text(code)));
}

void NcclLink::check(const Call& call) {
  launch(call, [this](nccl::Comm*) { return state(); });
}

std::optional<std::string> NcclLink::failure() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || !comm_) return std::nullopt;
  const Result code = state();
  if (!has_failed(code)) return std::nullopt;
  return failure_text(code);
}

void NcclLink::abort() {
  const std::lock_guard lock(mutex_);
  if (nccl::Comm* comm = std::exchange(comm_, nullptr)) functions_.comm_abort(comm);
}

// A thread that comes after the abort must not go on, nor say anything: whoever aborted is ending the process.
std::unique_lock<std::mutex> NcclLink::enter() {
  std::unique_lock lock(mutex_);
  if (comm_) return lock;
  lock.unlock();
  std::promise<void>().get_future().wait();
  return lock;
}

Result NcclLink::state() {
  Result state = Result::kSuccess;
  const Result code = functions_.comm_get_async_error(comm_, &state);
  return code == Result::kSuccess ? state : code;
}

std::string NcclLink::failure_text(Result code) {
  return "NCCL reports '" + nccl_text(functions_, code, comm_) + "' (with NCCL_DEBUG=INFO it tells more)";
}

}  // namespace acm::comm

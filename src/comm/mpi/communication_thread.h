#pragma once

#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "comm/call.h"

namespace acm::comm {

// The one thread of a rank that calls MPI: it runs what is posted, one task after another, in the order of posting. Two
// threads taking turns in MPI could meet the other ranks' two threads in another order, and wait for each other for
// ever.
class CommunicationThread {
 public:
  CommunicationThread();
  // Leaves the thread behind, as abandon() does, unless finish() was called.
  ~CommunicationThread();
  CommunicationThread(const CommunicationThread&) = delete;

  // From any thread, never waits. The future carries what the task threw; dropping it does not wait either. `call`:
  // what current() tells while the task runs, and after it.
  std::shared_future<void> post(Call call, std::function<void()> task);
  Call current() const;
  // Waits for all that was posted and ends the thread.
  void finish();

 private:
  struct Queue;
  void abandon();

  std::shared_ptr<Queue> queue_;  // shared with the thread, which may outlive this object
  std::thread thread_;
};

}  // namespace acm::comm

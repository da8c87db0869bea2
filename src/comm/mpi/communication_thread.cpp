#include "comm/mpi/communication_thread.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

namespace acm::comm {

struct CommunicationThread::Queue {
  struct Task {
    Call call;
    std::packaged_task<void()> work;
  };

  // Runs tasks until told to end and none is left.
  void serve() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return ended || !tasks.empty(); });
      if (tasks.empty()) return;
      Task task = std::move(tasks.front());
      tasks.pop_front();
      current = std::move(task.call);
      current.is_over = false;
      current.begun = std::chrono::steady_clock::now();
      lock.unlock();
      task.work();
      task.work = {};  // lets go of its tensor before the next one starts
      lock.lock();
      current.is_over = true;
    }
  }

  // Returns the tasks that will not run, so that they die outside the lock.
  std::deque<Task> end(bool drop_tasks) {
    std::deque<Task> dropped;
    const std::lock_guard lock(mutex);
    ended = true;
    if (drop_tasks) dropped.swap(tasks);
    changed.notify_all();
    return dropped;
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Task> tasks;
  Call current;
  bool ended = false;
};

CommunicationThread::CommunicationThread()
    : queue_(std::make_shared<Queue>()), thread_([queue = queue_] { queue->serve(); }) {}

CommunicationThread::~CommunicationThread() {
  if (thread_.joinable()) abandon();
}

std::shared_future<void> CommunicationThread::post(Call call, std::function<void()> task) {
  std::packaged_task<void()> packaged(std::move(task));
  std::shared_future<void> done = packaged.get_future().share();
  {
    const std::lock_guard lock(queue_->mutex);
    queue_->tasks.push_back({std::move(call), std::move(packaged)});
  }
  queue_->changed.notify_all();
  return done;
}

Call CommunicationThread::current() const {
  const std::lock_guard lock(queue_->mutex);
  return queue_->current;
}

void CommunicationThread::finish() {
  queue_->end(false);
  thread_.join();
}

// The thread may stand in a collective that never ends, because this rank has failed: do not wait for it.
void CommunicationThread::abandon() {
  queue_->end(true);
  thread_.detach();
}

}  // namespace acm::comm

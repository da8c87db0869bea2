#include "data/batch_queue.h"

#include <c10/core/StreamGuard.h>
#include <c10/util/Exception.h>

#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "core/stopwatch.h"
#include "data/device_copy.h"
#include "data/fetch.h"

namespace acm::data {
namespace {

// One batch is filled while the next one is taken or waits to be; more would only hold memory. Where batches are
// smaller than the team of threads, as many as give each thread its next sample.
constexpr size_t kBatches = 2, kSamplesPerThread = 2;

// A batch that is being made. Its fields are guarded by the queue's mutex, but for `samples`, each of which belongs to
// the thread that fetches it until all are there.
struct Job {
  std::vector<int64_t> positions;
  std::vector<Fetched> samples;
  size_t handed_out = 0, fetched = 0;
  std::exception_ptr error;  // of the first position that has one
  size_t error_at = 0;
  Batch batch;
  std::optional<c10::Event> sent;  // the batch, to a device
  bool ready = false;

  void fail(size_t at, std::exception_ptr what) {
    if (error && error_at < at) return;
    error = std::move(what);
    error_at = at;
  }
};

}  // namespace

struct BatchQueue::Impl {
  Impl(const DataSource& source, Schedule schedule, Views views, Fetching fetching, Positions positions)
      : source_(source),
        schedule_(std::move(schedule)),
        views_(std::move(views)),
        fetching_(fetching),
        positions_(std::move(positions)) {
    TORCH_CHECK(fetching.threads > 0, "a loader needs a thread");
    for (int i = 0; i < fetching.threads; ++i) workers_.emplace_back([this] { work(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_.notify_all();
  }

  void start_at(int64_t number) {
    {
      const std::lock_guard lock(mutex_);
      seek(number);
    }
    work_.notify_all();
  }

  Batch get(int64_t number) {
    std::unique_lock lock(mutex_);
    if (!is_started_ || number != next_get_) seek(number);
    work_.notify_all();
    const Stopwatch waiting;
    ready_.wait(lock, [&] { return jobs_.contains(number) ? jobs_.at(number)->ready : at_end_; });
    figures_.waited_seconds += waiting.seconds();
    TORCH_CHECK(jobs_.contains(number), "batch ", number, " was asked for, after the last");
    const auto job = std::move(jobs_.extract(number).mapped());
    ++next_get_;
    lock.unlock();
    work_.notify_all();
    return deliver(*job);
  }

  FetchFigures figures() const {
    const std::lock_guard lock(mutex_);
    return figures_;
  }

 private:
  // All that follows with the mutex held, but for deliver, fetch and collate.

  void seek(int64_t number) {
    is_started_ = true;
    at_end_ = false;
    next_get_ = next_open_ = number;
    open_.reset();
    jobs_.clear();
  }

  // The newest job while samples of it are left to hand out, else the next one where there is room for it.
  bool has_work() {
    if (!is_started_) return false;
    if (open_ && open_->handed_out < open_->positions.size()) return true;
    size_t samples = 0;
    for (const auto& [number, job] : jobs_) samples += job->positions.size();
    const bool room = jobs_.size() < kBatches || samples < kSamplesPerThread * static_cast<size_t>(fetching_.threads);
    return room && !at_end_ && open_next();
  }

  bool open_next() {
    auto job = std::make_shared<Job>();
    try {
      job->positions = positions_(next_open_);
    } catch (...) {
      job->fail(0, std::current_exception());
      job->ready = true;
    }
    at_end_ = job->positions.empty();
    if (!at_end_ || job->ready) jobs_.emplace(next_open_++, job);
    job->samples.resize(job->positions.size());
    open_ = std::move(job);
    if (at_end_) ready_.notify_all();
    return !at_end_;
  }

  void work() {
    // For the whole thread, since its current device counts too: LibTorch returns to it whenever it destroys an event,
    // and on GPU 0, which may be another rank's, CUDA would make a context for that.
    const c10::OptionalStreamGuard copying(fetching_.copies);
    std::unique_lock lock(mutex_);
    for (;;) {
      work_.wait(lock, [&] { return stopping_ || has_work(); });
      if (stopping_) return;
      const std::shared_ptr<Job> job = open_;
      const size_t at = job->handed_out++;
      lock.unlock();
      std::exception_ptr error = fetch(*job, at);
      lock.lock();
      if (error) job->fail(at, std::move(error));
      if (++job->fetched < job->samples.size()) continue;
      if (!job->error) {
        lock.unlock();
        error = collate(*job);
        lock.lock();
        if (error) job->fail(0, std::move(error));
      }
      job->ready = true;
      ready_.notify_all();
    }
  }

  std::exception_ptr fetch(Job& job, size_t at) const {
    try {
      job.samples[at] =
          fetch_sample(source_, schedule_, views_.augmentation, job.positions[at], fetching_.bad_samples != nullptr);
      return {};
    } catch (...) {
      return std::current_exception();  // get() throws it, on the thread that can act on it
    }
  }

  std::exception_ptr collate(Job& job) const {
    try {
      std::vector<Sample> samples;
      for (auto& fetched : job.samples) samples.push_back(std::move(fetched.sample));
      job.batch = make_batch(source_, schedule_, views_, samples);
      if (fetching_.copies) job.sent = send(job.batch, fetching_.copies->device());
      return {};
    } catch (...) {
      return std::current_exception();
    }
  }

  // Bad samples are told and counted here, so that what was prefetched and never used is in no figure.
  Batch deliver(Job& job) {
    int64_t replaced = 0;
    for (const auto& fetched : job.samples) {
      if (fetched.skipped.empty()) continue;
      fetching_.bad_samples->note(fetched.skipped);
      ++replaced;
    }
    if (job.error) std::rethrow_exception(job.error);
    if (job.sent) receive(job.batch, *job.sent);
    const std::lock_guard lock(mutex_);
    figures_.replaced += replaced;
    return std::move(job.batch);
  }

  const DataSource& source_;
  const Schedule schedule_;
  const Views views_;
  const Fetching fetching_;
  const Positions positions_;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable work_, ready_;
  bool is_started_ = false, stopping_ = false, at_end_ = false;
  int64_t next_get_ = 0, next_open_ = 0;
  FetchFigures figures_;
  std::shared_ptr<Job> open_;  // the newest
  std::map<int64_t, std::shared_ptr<Job>> jobs_;
  std::vector<std::jthread> workers_;  // last: they end before what they use
};

BatchQueue::BatchQueue(const DataSource& source, Schedule schedule, Views views, Fetching fetching, Positions positions)
    : impl_(std::make_unique<Impl>(source, std::move(schedule), std::move(views), fetching, std::move(positions))) {}
BatchQueue::~BatchQueue() = default;

void BatchQueue::start_at(int64_t number) { impl_->start_at(number); }
Batch BatchQueue::get(int64_t number) { return impl_->get(number); }
FetchFigures BatchQueue::figures() const { return impl_->figures(); }

}  // namespace acm::data

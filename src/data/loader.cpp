#include "data/loader.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "core/error.h"
#include "core/stopwatch.h"

namespace acm::data {
namespace {

// Enough that a thread has begun its next batch when one is taken; more would only hold memory.
constexpr int kBatchesPerThread = 2;

using Result = std::variant<Batch, std::exception_ptr>;

}  // namespace

// Batches are numbered by tickets: order[ticket % size] of step ticket / size. Threads take tickets in turn, at most
// `depth_` ahead of the one asked for next. A batch is a function of its ticket, so one that was under way before a
// seek is as good as one after it, and is dropped only where nobody will ask for it.
struct Loader::Impl {
  Impl(const DataSource& source, Schedule schedule, StreamKey augmentation, std::vector<Slice> order, int threads)
      : source_(source),
        schedule_(schedule),
        augmentation_(augmentation),
        order_(std::move(order)),
        depth_(kBatchesPerThread * threads) {
    TORCH_CHECK(threads > 0, "a loader needs a thread");
    for (int i = 0; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    room_.notify_all();
  }

  Batch get(const Slice& slice) {
    const std::optional<int64_t> ticket = ticket_of(slice);
    if (!ticket) return fetch(slice);  // of no place in the order: nothing to prefetch after it
    std::unique_lock lock(mutex_);
    if (!(is_started_ && same(slice_at(next_get_), slice))) seek(*ticket);
    const Stopwatch waiting;
    ready_.wait(lock, [&] { return done_.contains(next_get_); });
    waited_seconds_ += waiting.seconds();
    Result result = std::move(done_.extract(next_get_).mapped());
    ++next_get_;
    lock.unlock();
    room_.notify_all();
    if (auto* error = std::get_if<std::exception_ptr>(&result)) std::rethrow_exception(*error);
    return std::get<Batch>(std::move(result));
  }

  double take_waited_seconds() {
    const std::lock_guard lock(mutex_);
    return std::exchange(waited_seconds_, 0.0);
  }

 private:
  static bool same(const Slice& a, const Slice& b) {
    return a.step == b.step && a.index == b.index && a.count == b.count;
  }

  Slice slice_at(int64_t ticket) const {
    const auto size = static_cast<int64_t>(order_.size());
    Slice slice = order_[static_cast<size_t>(ticket % size)];
    slice.step = ticket / size;
    return slice;
  }

  // The first place in its step where the order asks for this slice.
  std::optional<int64_t> ticket_of(const Slice& slice) const {
    for (size_t i = 0; i < order_.size(); ++i) {
      const int64_t ticket = slice.step * static_cast<int64_t>(order_.size()) + static_cast<int64_t>(i);
      if (same(slice_at(ticket), slice)) return ticket;
    }
    return std::nullopt;
  }

  Batch fetch(const Slice& slice) const {
    return load_positions(source_, schedule_, augmentation_, schedule_.positions(slice));
  }

  void seek(int64_t ticket) {  // with the mutex held
    is_started_ = true;
    next_get_ = next_fetch_ = ticket;
    done_.clear();
    room_.notify_all();
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      room_.wait(lock, [&] { return stopping_ || (is_started_ && next_fetch_ < next_get_ + depth_); });
      if (stopping_) return;
      const int64_t ticket = next_fetch_++;
      lock.unlock();
      Result result = attempt(slice_at(ticket));
      lock.lock();
      if (ticket < next_get_ || ticket >= next_get_ + depth_) continue;
      done_.emplace(ticket, std::move(result));
      ready_.notify_all();
    }
  }

  Result attempt(const Slice& slice) const {
    try {
      return fetch(slice);
    } catch (...) {
      return std::current_exception();  // get() throws it, on the thread that can act on it
    }
  }

  const DataSource& source_;
  const Schedule schedule_;
  const StreamKey augmentation_;
  const std::vector<Slice> order_;
  const int64_t depth_;

  std::mutex mutex_;  // guards all below
  std::condition_variable room_, ready_;
  bool is_started_ = false, stopping_ = false;
  int64_t next_get_ = 0, next_fetch_ = 0;
  double waited_seconds_ = 0;
  std::map<int64_t, Result> done_;
  std::vector<std::jthread> workers_;  // last: they end before what they use
};

Loader::Loader(const DataSource& source, Schedule schedule, StreamKey augmentation, std::vector<Slice> order,
               int threads)
    : impl_(std::make_unique<Impl>(source, schedule, augmentation, std::move(order), threads)) {}
Loader::~Loader() = default;

Batch Loader::get(const Slice& slice) { return impl_->get(slice); }
double Loader::take_waited_seconds() { return impl_->take_waited_seconds(); }

Batch load_positions(const DataSource& source, const Schedule& schedule, StreamKey augmentation,
                     const std::vector<int64_t>& positions) {
  std::vector<Sample> samples;
  samples.reserve(positions.size());
  for (const int64_t position : positions) {
    const int64_t index = schedule.index_at(position);
    try {
      samples.push_back(source.get(index, augmentation.with(static_cast<uint64_t>(position))));
    } catch (const Error& error) {
      throw Error(error.fault(), "cannot load sample " + std::to_string(index) + " (position " +
                                     std::to_string(position) + "): " + error.what());
    }
    samples.back().index = index;
    samples.back().position = position;
  }
  return source.collate(samples);
}

}  // namespace acm::data

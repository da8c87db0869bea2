#include <c10/util/Exception.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/stack.h>

#include "comm/carried.h"
#include "comm/communicator.h"
#include "core/error.h"

namespace acm::comm {
namespace {

// What the collectives of a rank throw because another rank has left the group; never the cause of a failure.
class Released final : public Error {
 public:
  explicit Released(int rank)
      : Error(Fault::kInternal, "a collective cannot end: rank " + std::to_string(rank) + " has left the group") {}
};

// Where the threads of a group meet: the last to arrive does the work on the tensors of all, in rank order, while the
// others stand still. So results depend on no thread's timing.
class Meeting {
 public:
  explicit Meeting(int size) : tensors_(size) {}
  int size() const { return static_cast<int>(tensors_.size()); }

  // Collective. `act` gets the tensors of all ranks, by rank, and may write to them.
  void meet(int rank, at::Tensor& mine, const std::function<void(std::vector<at::Tensor*>&)>& act) {
    std::unique_lock lock(mutex_);
    throw_if_left();
    tensors_[rank] = &mine;
    const int64_t round = round_;
    if (++arrived_ == static_cast<int>(tensors_.size())) {
      act(tensors_);
      arrived_ = 0;
      ++round_;
      changed_.notify_all();
      return;
    }
    changed_.wait(lock, [&] { return round_ != round || left_ >= 0; });
    if (round_ == round) throw_if_left();
  }

  // Collective. Where this rank meets those that gave the same colour; `place`: its rank there.
  std::shared_ptr<Meeting> split(int rank, int colour, int& place) {
    at::Tensor mine = at::full({}, colour, at::kInt);
    meet(rank, mine, [this](std::vector<at::Tensor*>& all) {
      std::map<int, std::vector<int>> members;
      for (size_t i = 0; i < all.size(); ++i) members[all[i]->item<int>()].push_back(static_cast<int>(i));
      parts_.clear();
      for (auto& [name, ranks] : members) {
        const int size = static_cast<int>(ranks.size());
        parts_[name] = {std::make_shared<Meeting>(size), std::move(ranks)};
        every_part_.push_back(parts_[name]);
      }
    });
    const std::lock_guard lock(mutex_);
    const Part& part = parts_.at(colour);
    place = static_cast<int>(std::ranges::find(part.ranks, rank) - part.ranks.begin());
    return part.meeting;
  }

  // `rank` will come to no further meeting: whoever waits for it, or will, is released.
  void leave(int rank) {
    const std::lock_guard lock(mutex_);
    if (left_ < 0) left_ = rank;
    changed_.notify_all();
    for (const Part& part : every_part_) {
      const auto place = std::ranges::find(part.ranks, rank);
      if (place != part.ranks.end()) part.meeting->leave(static_cast<int>(place - part.ranks.begin()));
    }
  }

 private:
  void throw_if_left() const {
    if (left_ >= 0) throw Released(left_);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<at::Tensor*> tensors_;
  int arrived_ = 0;
  int64_t round_ = 0;
  int left_ = -1;  // the first rank that left

  struct Part {
    std::shared_ptr<Meeting> meeting;
    std::vector<int> ranks;  // of this meeting
  };
  std::map<int, Part> parts_;  // of the last split, by colour
  std::vector<Part> every_part_;
};

void reduce_into(at::Tensor& sum, const at::Tensor& next, ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      sum.add_(next);
      return;
    case ReduceOp::kMin:
      at::minimum_out(sum, sum, next);
      return;
    case ReduceOp::kMax:
      at::maximum_out(sum, sum, next);
      return;
  }
}

class LocalCommunicator final : public Communicator {
 public:
  LocalCommunicator(std::shared_ptr<Meeting> meeting, int rank, int size)
      : meeting_(std::move(meeting)), rank_(rank), size_(size) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  std::unique_ptr<Work> all_reduce(at::Tensor tensor, ReduceOp op) override {
    check_carried(tensor);
    meeting_->meet(rank_, tensor, [op](std::vector<at::Tensor*>& all) {
      at::Tensor result = all[0]->detach().clone();
      for (size_t i = 1; i < all.size(); ++i) reduce_into(result, all[i]->detach(), op);
      for (at::Tensor* each : all) each->detach().copy_(result);
    });
    return make_done_work();
  }

  void broadcast(at::Tensor tensor, int root) override {
    check_carried(tensor);
    TORCH_CHECK(root >= 0 && root < size_, "broadcast from rank ", root, " in a group of ", size_);
    meeting_->meet(rank_, tensor, [root](std::vector<at::Tensor*>& all) {
      for (at::Tensor* each : all) each->detach().copy_(all[root]->detach());
    });
  }

  at::Tensor all_gather(const at::Tensor& tensor) override {
    check_carried(tensor);
    at::Tensor result = tensor.detach();
    meeting_->meet(rank_, result, [](std::vector<at::Tensor*>& all) {
      std::vector<at::Tensor> rows;
      for (const at::Tensor* each : all) rows.push_back(*each);
      const at::Tensor whole = at::stack(rows);
      for (at::Tensor* each : all) *each = whole.clone();
    });
    return result;
  }

  void barrier() override {
    at::Tensor none;
    meeting_->meet(rank_, none, [](std::vector<at::Tensor*>&) {});
  }

  std::unique_ptr<Communicator> split(int colour) override {
    int place = 0;
    auto part = meeting_->split(rank_, colour, place);
    const int size = part->size();
    return std::make_unique<LocalCommunicator>(std::move(part), place, size);
  }

 private:
  std::shared_ptr<Meeting> meeting_;
  int rank_, size_;
};

}  // namespace

void run_local_group(int size, const std::function<void(Communicator&)>& rank_main) {
  TORCH_CHECK(size >= 1, "a group of ", size, " ranks");
  const auto meeting = std::make_shared<Meeting>(size);
  std::vector<std::exception_ptr> causes(size), consequences(size);
  const int threads_before = at::get_num_threads();
  const auto run_rank = [&](int rank) {
    at::set_num_threads(1);  // of this thread: hundreds of ranks with teams of threads would stand still
    LocalCommunicator group(meeting, rank, size);
    try {
      rank_main(group);
    } catch (const Released&) {
      consequences[rank] = std::current_exception();
    } catch (...) {
      causes[rank] = std::current_exception();
    }
    meeting->leave(rank);
  };
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < size; ++rank) threads.emplace_back(run_rank, rank);
  }
  at::set_num_threads(threads_before);  // the number that later threads start with
  for (const auto* errors : {&causes, &consequences}) {
    for (const std::exception_ptr& error : *errors) {
      if (error) std::rethrow_exception(error);
    }
  }
}

}  // namespace acm::comm

#include <utility>

#include "comm/call_check.h"
#include "comm/communicator.h"

namespace acm::comm {
namespace {

// A part of a checked group: it owns what it checks.
class CheckedPart final : public Communicator {
 public:
  CheckedPart(std::unique_ptr<Communicator> inner, std::shared_ptr<CallCheck> check)
      : inner_(std::move(inner)), checked_(make_checked_communicator(*inner_, std::move(check), 0)) {}
  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  std::unique_ptr<Work> all_reduce(at::Tensor tensor, ReduceOp op) override {
    return checked_->all_reduce(std::move(tensor), op);
  }
  void broadcast(at::Tensor tensor, int root) override { checked_->broadcast(std::move(tensor), root); }
  at::Tensor all_gather(const at::Tensor& tensor) override { return checked_->all_gather(tensor); }
  std::vector<at::Tensor> all_to_all(const std::vector<at::Tensor>& parts) override {
    return checked_->all_to_all(parts);
  }
  void barrier() override { checked_->barrier(); }
  std::unique_ptr<Communicator> split(int colour) override { return checked_->split(colour); }

 private:
  std::unique_ptr<Communicator> inner_, checked_;
};

class CheckedCommunicator final : public Communicator {
 public:
  CheckedCommunicator(Communicator& inner, std::shared_ptr<CallCheck> check, int64_t group)
      : inner_(inner), check_(std::move(check)), group_(group) {}

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }

  std::unique_ptr<Work> all_reduce(at::Tensor tensor, ReduceOp op) override {
    check_->agree(group_, Operation::kAllReduce, static_cast<int64_t>(op), tensor);
    return inner_.all_reduce(std::move(tensor), op);
  }
  void broadcast(at::Tensor tensor, int root) override {
    check_->agree(group_, Operation::kBroadcast, root, tensor);
    inner_.broadcast(std::move(tensor), root);
  }
  at::Tensor all_gather(const at::Tensor& tensor) override {
    check_->agree(group_, Operation::kAllGather, 0, tensor);
    return inner_.all_gather(tensor);
  }
  std::vector<at::Tensor> all_to_all(const std::vector<at::Tensor>& parts) override {
    check_->agree(group_, Operation::kAllToAll, 0, at::Tensor());  // sizes may differ
    return inner_.all_to_all(parts);
  }
  void barrier() override {
    check_->agree(group_, Operation::kBarrier, 0, at::Tensor());
    inner_.barrier();
  }
  std::unique_ptr<Communicator> split(int colour) override {
    check_->agree(group_, Operation::kSplit, 0, at::Tensor());
    auto part = inner_.split(colour);
    return std::make_unique<CheckedPart>(std::move(part), check_->split(group_, colour));
  }

 private:
  Communicator& inner_;
  std::shared_ptr<CallCheck> check_;
  int64_t group_;
};

}  // namespace

std::unique_ptr<Communicator> make_checked_communicator(Communicator& inner, std::shared_ptr<CallCheck> check,
                                                        int64_t group) {
  return std::make_unique<CheckedCommunicator>(inner, std::move(check), group);
}

std::unique_ptr<Communicator> make_checked_communicator(Communicator& inner) {
  return make_checked_communicator(inner, std::make_shared<CallCheck>(inner, std::vector<std::string>{"the group"}), 0);
}

}  // namespace acm::comm

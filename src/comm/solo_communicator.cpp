#include <c10/util/Exception.h>

#include "comm/carried.h"
#include "comm/communicator.h"

namespace acm::comm {
namespace {

class SoloCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }

  std::unique_ptr<Work> all_reduce(at::Tensor tensor, ReduceOp) override {
    check_carried(tensor, tensor.device());
    return make_done_work();
  }
  void broadcast(at::Tensor tensor, int root) override {
    check_carried(tensor, tensor.device());
    TORCH_CHECK(root == 0, "broadcast from rank ", root, " in a group of one");
  }
  at::Tensor all_gather(const at::Tensor& tensor) override {
    check_carried(tensor, tensor.device());
    return tensor.unsqueeze(0).clone();  // a copy: the result must not follow later changes of `tensor`
  }
  void barrier() override {}
  std::unique_ptr<Communicator> split(int) override { return make_solo_communicator(); }
};

}  // namespace

std::unique_ptr<Communicator> make_solo_communicator() { return std::make_unique<SoloCommunicator>(); }

}  // namespace acm::comm

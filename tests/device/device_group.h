#pragma once

#include <memory>
#include <utility>

#include "comm/communicator.h"
#include "device/test_device.h"

namespace acm {

// A group for the tensors of a device, over one that carries the host's: as NCCL, it takes no tensor of the host. A sum
// is made when it is waited for, so that ranks which are threads of this process, and share the thread on which
// LibTorch computes gradients on a device, do not wait for each other there.
class DeviceGroup final : public comm::Communicator {
 public:
  explicit DeviceGroup(comm::Communicator& host) : host_(host) {}
  explicit DeviceGroup(std::unique_ptr<comm::Communicator> host) : owned_(std::move(host)), host_(*owned_) {}

  int rank() const override { return host_.rank(); }
  int size() const override { return host_.size(); }
  std::unique_ptr<comm::Work> all_reduce(at::Tensor tensor, comm::ReduceOp op) override {
    check(tensor);
    return std::make_unique<Sum>(host_, std::move(tensor), op);
  }
  void broadcast(at::Tensor tensor, int root) override {
    check(tensor);
    const at::Tensor here = tensor.cpu();
    host_.broadcast(here, root);
    tensor.copy_(here);
  }
  at::Tensor all_gather(const at::Tensor& tensor) override {
    check(tensor);
    return host_.all_gather(tensor.cpu()).to(test_device());
  }
  void barrier() override { host_.barrier(); }
  std::unique_ptr<comm::Communicator> split(int colour) override {
    return std::make_unique<DeviceGroup>(host_.split(colour));
  }

 private:
  class Sum final : public comm::Work {
   public:
    Sum(comm::Communicator& host, at::Tensor tensor, comm::ReduceOp op) : host_(host), tensor_(tensor), op_(op) {}
    void wait() override {
      const at::Tensor here = tensor_.cpu();
      host_.all_reduce(here, op_)->wait();
      tensor_.copy_(here);
    }

   private:
    comm::Communicator& host_;
    at::Tensor tensor_;
    comm::ReduceOp op_;
  };
  static void check(const at::Tensor& tensor) {
    TORCH_CHECK(tensor.device() == test_device(), "the group data was given a tensor on ", tensor.device());
  }

  std::unique_ptr<comm::Communicator> owned_;
  comm::Communicator& host_;
};

}  // namespace acm
